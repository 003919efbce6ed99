-- Extend a lock, if the token still holds it.
--
-- KEYS[1]   the lock
-- ARGV[1]   token
-- ARGV[2]   time to live from now, milliseconds
--
-- Result    1, or 0 if the lock has expired or belongs to another token
--
-- Rule      Only the holder can extend; an expired lock is never taken back, because another token may have held it
--           meanwhile.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(.*):%d+$') ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
