-- Check a session and record that it is in use.
--
-- KEYS  1  the session
--       2  the user's index: sorted set, member = SHA-256 of a token, score = when last active (µs)
-- ARGV  1  the user
--       2  SHA-256 of the token
--       3  sliding lifetime (µs)
--       4  accuracy (µs): how far the recorded activity may lag behind
-- Result  {user, SHA-256, created, last active, expires (µs), user agent, address, role}, or nil: there is no such session
-- Rule  Only a session that exists is written to, and at most once per `accuracy`: in between, nothing is written. A
--       session that its index does not list could not be found by a revocation, so it counts as ended.
local found = redis.call('HMGET', KEYS[1], 'created', 'ends', 'agent', 'address', 'role')
if not found[1] then
  return nil
end
local last = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not last then
  redis.call('DEL', KEYS[1])
  return nil
end
last = tonumber(last)

local sliding, ends = tonumber(ARGV[3]), tonumber(found[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
if now - last >= tonumber(ARGV[4]) then
  last = now
  redis.call('ZADD', KEYS[2], now, ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], math.floor(math.min(now + sliding, ends) / 1000))
end
return { ARGV[1], ARGV[2], tonumber(found[1]), last, math.min(last + sliding, ends), found[3], found[4], found[5] }
