-- Store a loaded entry and give up its lease.
--
-- KEYS[1]   the entry
-- KEYS[2]   its lease
-- ARGV[1]   the entry's bytes
-- ARGV[2]   how long it lives, milliseconds
-- ARGV[3]   the lease as it was taken
--
-- Result    1 when it was stored, else 0
--
-- Rule      Nothing is stored while another caller holds the lease. Storing an outdated value would be harmless in
--           itself (its stamp shows it), but it could replace a current one.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[3] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if holder then
  redis.call('DEL', KEYS[2])
end
return 1
