-- Read sessions of one user without marking them as used.
--
-- KEYS  1     the user's index: sorted set, member = SHA-256 of a token, score = when last active (µs)
--       2 ..  the sessions
-- ARGV  1     the user
--       2     sliding lifetime (µs)
--       3 ..  SHA-256 of the tokens of KEYS 2 ..
-- Result  for each live session {user, SHA-256, created, last active, expires (µs), user agent, address, role}
-- Rule  All are read at one instant; nothing is written.
local sessions = {}
local sliding = tonumber(ARGV[2])
for i = 2, #KEYS do
  local digest = ARGV[i + 1]
  local found = redis.call('HMGET', KEYS[i], 'created', 'ends', 'agent', 'address', 'role')
  local last = tonumber(redis.call('ZSCORE', KEYS[1], digest) or nil)
  if found[1] and last then
    sessions[#sessions + 1] = {
      ARGV[1], digest, tonumber(found[1]), last, math.min(last + sliding, tonumber(found[2])),
      found[3], found[4], found[5],
    }
  end
end
return sessions
