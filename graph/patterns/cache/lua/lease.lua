-- Try to become the caller that loads an entry.
--
-- KEYS[1]   the entry
-- KEYS[2]   its lease
-- ARGV[1]   the lease to take: the stamp that the loader starts from (16 bytes), then a unique token
-- ARGV[2]   how long it lasts unless renewed, milliseconds
-- ARGV[3]   optional: whoever finds an entry does not want the lease
--
-- Result    {1 if the caller has the lease, else 0, the current entry or nil}
--
-- Rule      One holder per stamp. A lease for another stamp is taken over, because what its holder loads is outdated,
--           or will be. A lease expires soon after its holder has died.
local holder = redis.call('GET', KEYS[2])
local entry = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and string.sub(holder, 1, 16) == string.sub(ARGV[1], 1, 16) then
  return { 0, entry }
end
if entry and ARGV[3] then
  return { 0, entry }
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return { 1, entry }
