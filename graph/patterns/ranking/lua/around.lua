-- Read a player's entry with its neighbours.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2    player
--      3    most neighbours on each side
-- Result    {} when there is no whole index
--           {0, server, build} when the player has no entry
--           {1, server, build, position of the player, position of the first neighbour, rank of the first neighbour,
--            entries {member, score, ...}}
--
-- Rule      All of it is of one instant.
local ties, player, range = ARGV[1], ARGV[2], tonumber(ARGV[3])
local dense = ties == 'dense'
assert(#KEYS == 4 and #ARGV == 3)

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
local first = start + 1
if ties ~= 'earliest' then
  first = redis.call('ZCOUNT', dense and KEYS[3] or KEYS[1], '-inf', '(' .. entries[2]) + 1
end
return { 1, state[2], state[3], position, start, first, entries }
