-- Let a lock live on, if its token still holds it.
--
-- KEYS[1]   the lock
-- ARGV[1]   token
-- ARGV[2]   time to live from now, milliseconds
--
-- Result    1, or 0 when the lock has expired or belongs to another
--
-- Rule      Only the holder extends; an expired lock is never taken back, for another may have held it meanwhile.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(.*):%d+$') ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
