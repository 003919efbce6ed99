-- Store the text of a persisted document, dropping the least recently used ones if there is no room.
--
-- KEYS[1]   hash: text by SHA-256
-- KEYS[2]   sorted set: SHA-256 by the time of its last use, seconds
-- KEYS[3]   bytes of all texts
-- KEYS[4]   bytes that this caller has stored in the window
-- ARGV[1]   SHA-256
-- ARGV[2]   the text
-- ARGV[3]   seconds after its last use for which a text is kept
-- ARGV[4]   bytes that all texts may have
-- ARGV[5]   bytes that one caller may store in a window
-- ARGV[6]   length of the window, seconds
--
-- Result    1 if the text is stored, 0 if the caller has stored too much
--
-- Rule      All texts together never exceed ARGV[4] bytes, whoever sends them; every key has a TTL.
--
local clock, ttl, size = redis.call('TIME'), tonumber(ARGV[3]), #ARGV[2]
local now = clock[1] + clock[2] / 1000000
local fresh = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
local total = redis.call('EXISTS', KEYS[1]) == 1 and tonumber(redis.call('GET', KEYS[3]) or '0') or 0
if fresh then
  local stored = tonumber(redis.call('GET', KEYS[4]) or '0')
  if size > tonumber(ARGV[4]) or stored + size > tonumber(ARGV[5]) then
    return 0
  end
  if stored == 0 then
    redis.call('SET', KEYS[4], size, 'EX', ARGV[6])
  else
    redis.call('SET', KEYS[4], stored + size, 'KEEPTTL')
  end
  while total > 0 do
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if not oldest[1] or (total + size <= tonumber(ARGV[4]) and tonumber(oldest[2]) > now - ttl) then
      break
    end
    total = total - redis.call('HSTRLEN', KEYS[1], oldest[1])
    redis.call('HDEL', KEYS[1], oldest[1])
    redis.call('ZREM', KEYS[2], oldest[1])
  end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  total = total + size
end
redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[1])
redis.call('SET', KEYS[3], total)
for i = 1, 3 do
  redis.call('EXPIRE', KEYS[i], ttl)
end
return 1
