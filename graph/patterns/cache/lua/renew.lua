-- Renew a lease, or give it up.
--
-- KEYS[1]   the lease
-- ARGV[1]   the lease as it was taken
-- ARGV[2]   how long it lasts from now, milliseconds; 0 gives it up
--
-- Result    1 if the caller still had it, else 0
--
-- Rule      The leases of other callers are not touched.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
