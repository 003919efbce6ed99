-- Begin a session, and end the least recently used ones of a user who has too many.
--
-- KEYS  1     the user's index: sorted set, member = SHA-256 of a token, score = when last active (µs)
--       2     the user's epoch
--       3     the new session
--       4 ..  sessions listed by the index, as far as the caller knows them
-- ARGV  1     the epoch that the caller saw before it checked the password ('' = none)
--       2     SHA-256 of the new token
--       3     sliding lifetime (µs)
--       4     absolute lifetime (µs)
--       5     how many sessions a user may have
--       6-8   user agent, address, role
--       9 ..  SHA-256 of the tokens of KEYS 4 ..
-- Result  {'superseded'}            something was revoked meanwhile: check the password again
--         {'full', SHA-256 ..}      too many sessions: call again with the keys of these
--         {'created', now, expires, SHA-256 of the evicted ..}
-- Rule  A session begins only in the epoch in which its credentials were checked, so none begins with credentials that
--       were revoked since. Expired sessions never count.
local index, epoch, session = KEYS[1], KEYS[2], KEYS[3]
local digest, sliding, absolute, room = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

if (redis.call('GET', epoch) or '') ~= ARGV[1] then
  return { 'superseded' }
end

local evicted = {}
if redis.call('ZCARD', index) >= room then
  local known = {}
  for i = 4, #KEYS do
    local listed = ARGV[i + 5]
    known[listed] = KEYS[i]
    if redis.call('EXISTS', KEYS[i]) == 0 then
      redis.call('ZREM', index, listed)
    end
  end
  local surplus = redis.call('ZCARD', index) - room
  if surplus >= 0 then
    local oldest = redis.call('ZRANGE', index, 0, surplus)
    for _, listed in ipairs(oldest) do
      if not known[listed] then
        return { 'full', unpack(redis.call('ZRANGE', index, 0, -1)) }
      end
    end
    for _, listed in ipairs(oldest) do
      redis.call('DEL', known[listed])
      redis.call('ZREM', index, listed)
      evicted[#evicted + 1] = listed
    end
  end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ends = now + absolute
local expires = math.min(now + sliding, ends)
redis.call('HSET', session, 'created', now, 'ends', ends, 'agent', ARGV[6], 'address', ARGV[7], 'role', ARGV[8])
redis.call('PEXPIREAT', session, math.floor(expires / 1000))
redis.call('ZADD', index, now, digest)
redis.call('PEXPIREAT', index, math.floor(ends / 1000))
return { 'created', now, expires, unpack(evicted) }
