-- Release a lock, if the token still holds it, and wake those waiting for it.
--
-- KEYS[1]   the lock
-- KEYS[2]   the channel its waiters listen to
-- ARGV[1]   token
-- ARGV[2]   PUBLISH, or SPUBLISH in a cluster
--
-- Result    1, or 0 if the lock had expired or belongs to another token
--
-- Rule      Only the holder can release.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(.*):%d+$') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call(ARGV[2], KEYS[2], '')
return 1
