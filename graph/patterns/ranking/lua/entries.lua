-- Read the entries of several players.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2..  players
-- Result    {} when there is no whole index
--           {server, build, rank or 0 (no entry), score or '', achieved or 0, ... for each player}
--
-- Rule      All of it is of one instant.
local ties = ARGV[1]
local dense = ties == 'dense'
assert(#KEYS == 4 and #ARGV >= 1)

local state = redis.call('HMGET', KEYS[4], 'size', 'server', 'build')
if not state[1] then return {} end
if state[1] ~= '0' then
  if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 or (dense and redis.call('EXISTS', KEYS[3]) == 0) then return {} end
end

local found = { state[2], state[3] }
for i = 2, #ARGV do
  local row = redis.call('HGET', KEYS[2], ARGV[i])
  local achieved = row and struct.unpack('>I7', row) or 0
  local rank, score = 0, ''
  if achieved > 0 then
    local member = string.sub(row, 1, 7) .. ARGV[i]
    score = redis.call('ZSCORE', KEYS[1], member)
    if ties == 'earliest' then
      rank = redis.call('ZRANK', KEYS[1], member) + 1
    else
      rank = redis.call('ZCOUNT', dense and KEYS[3] or KEYS[1], '-inf', '(' .. score) + 1
    end
  end
  found[#found + 1] = rank
  found[#found + 1] = score
  found[#found + 1] = achieved
end
return found
