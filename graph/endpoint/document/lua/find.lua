-- Find the text of a persisted document, and count that as a use.
--
-- KEYS[1]   hash: text by SHA-256
-- KEYS[2]   sorted set: SHA-256 by the time of its last use, seconds
-- KEYS[3]   bytes of all texts
-- ARGV[1]   SHA-256
-- ARGV[2]   seconds after its last use for which a text is kept
--
-- Result    the text, or nil
--
-- Rule      A text that was not used for ARGV[2] seconds is not found.
--
local clock, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = clock[1] + clock[2] / 1000000
local used = redis.call('ZSCORE', KEYS[2], ARGV[1])
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text or not used or tonumber(used) <= now - ttl then
  return nil
end
redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[1])
for i = 1, 3 do
  redis.call('EXPIRE', KEYS[i], ttl)
end
return text
