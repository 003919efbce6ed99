-- Read the entries of several players.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2    1 = with metadata
--      3..  players
-- Result    {} if there is no complete index
--           {server, build, size,
--            {rank or 0 (no entry), how many are ahead, score or '', achieved or 0, metadata or ''}, ... for each player}
--
-- Rule      All of it is of one instant.
local ties = ARGV[1]
local dense = ties == 'dense'
assert(#KEYS == 4 and #ARGV >= 2)

local state = redis.call('HMGET', KEYS[4], 'size', 'server', 'build')
if not state[1] then return {} end
if state[1] ~= '0' then
  if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 or (dense and redis.call('EXISTS', KEYS[3]) == 0) then return {} end
end

local found = { state[2], state[3], tonumber(state[1]) }
for i = 3, #ARGV do
  local row = redis.call('HGET', KEYS[2], ARGV[i])
  local achieved = row and struct.unpack('>I7', row) or 0
  local rank, ahead, score, metadata = 0, 0, '', ''
  if achieved > 0 then
    local member = string.sub(row, 1, 7) .. ARGV[i]
    score = redis.call('ZSCORE', KEYS[1], member)
    if ties == 'earliest' then
      ahead = redis.call('ZRANK', KEYS[1], member)
    else
      ahead = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score)
    end
    rank = (dense and redis.call('ZCOUNT', KEYS[3], '-inf', '(' .. score) or ahead) + 1
    if ARGV[2] == '1' then metadata = string.sub(row, 21) end
  end
  found[#found + 1] = { rank, ahead, score, achieved, metadata }
end
return found
