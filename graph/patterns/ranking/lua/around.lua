-- Read a player's entry with its neighbours.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2    player
--      3    most neighbours on each side
--      4    1 = with metadata
-- Result    {} if there is no complete index
--           {0, server, build} if the player has no entry
--           {1, server, build, position of the player, position of the first neighbour, rank of the first neighbour,
--            how many are ahead of the first neighbour, size, entries {member, score, ...},
--            metadata of the entries ('' = none), {} if not asked for}
--
-- Rule      All of it is of one instant.
local ties, player, range = ARGV[1], ARGV[2], tonumber(ARGV[3])
local dense = ties == 'dense'
assert(#KEYS == 4 and #ARGV == 4)

local state = redis.call('HMGET', KEYS[4], 'size', 'server', 'build')
if not state[1] then return {} end
if state[1] ~= '0' then
  if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 or (dense and redis.call('EXISTS', KEYS[3]) == 0) then return {} end
end

local row = redis.call('HGET', KEYS[2], player)
local achieved = row and string.sub(row, 1, 7)
if not row or struct.unpack('>I7', achieved) == 0 then return { 0, state[2], state[3] } end
local position = redis.call('ZRANK', KEYS[1], achieved .. player)
local start = math.max(position - range, 0)
local entries = redis.call('ZRANGE', KEYS[1], start, position + range, 'WITHSCORES')
local first, ahead = start + 1, start
if ties ~= 'earliest' then
  ahead = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. entries[2])
  first = (dense and redis.call('ZCOUNT', KEYS[3], '-inf', '(' .. entries[2]) or ahead) + 1
end
local metadata = {}
if ARGV[4] == '1' then
  local names = {}
  for i = 1, #entries, 2 do names[#names + 1] = string.sub(entries[i], 8) end
  for i, held in ipairs(redis.call('HMGET', KEYS[2], unpack(names))) do metadata[i] = string.sub(held, 21) end
end
return { 1, state[2], state[3], position, start, first, ahead, tonumber(state[1]), entries, metadata }
