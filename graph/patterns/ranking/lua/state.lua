-- Read how large the ranking is and how far it has come.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
-- Result    {} if there is no complete index; else {size, seq, through, server, build}
--
-- Rule      A size is returned only if all keys that it depends on exist.
assert(#KEYS == 4 and #ARGV == 1)
local state = redis.call('HMGET', KEYS[4], 'size', 'seq', 'through', 'server', 'build')
local size = tonumber(state[1] or nil)
if not size then return {} end
if size > 0 then
  if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {} end
  if ARGV[1] == 'dense' and redis.call('EXISTS', KEYS[3]) == 0 then return {} end
end
return { size, tonumber(state[2]), tonumber(state[3]), state[4], state[5] }
