-- Ask to be the one that loads an entry.
--
-- KEYS[1]   the entry
-- KEYS[2]   its lease
-- ARGV[1]   the lease to take: the stamp that the loader starts from (16 bytes), then a token of its own
-- ARGV[2]   how long it lasts unless renewed, milliseconds
--
-- Result    {1 when the lease is the caller's, else 0, the entry as it stands or nil}
--
-- Rule      One holder a stamp. A lease taken from another stamp is taken over: what its holder brings is outdated
--           or will be. A lease expires soon after its holder died.
local holder = redis.call('GET', KEYS[2])
local entry = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and string.sub(holder, 1, 16) == string.sub(ARGV[1], 1, 16) then
  return { 0, entry }
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return { 1, entry }
