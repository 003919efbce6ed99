#!lua flags=allow-oom
-- End sessions of one user that were ended before, in case this server has lost that.
--
-- KEYS  1     the user's index: sorted set, member = SHA-256 of a token, score = when last active (µs)
--       2     the user's epoch
--       3 ..  the sessions to end
-- ARGV  1     lifetime of the epoch (ms)
--       2     the epoch that the revocation made (µs)
--       3     SHA-256 of a token whose session was spared ('' = none)
--       4     how many of KEYS 3 .. the revocation named; the others are ended only if they had begun by then
--       5 ..  SHA-256 of the tokens of KEYS 3 ..
-- Result  how many sessions existed
-- Rule  No session that began after the revocation is ended, and the epoch never goes back.
local index, epoch = KEYS[1], KEYS[2]
local made, spared, named = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local ended = 0
for i = 3, #KEYS do
  local digest = ARGV[i + 2]
  local created = redis.call('HGET', KEYS[i], 'created')
  if created and digest ~= spared and (i - 2 <= named or tonumber(created) <= made) then
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', index, digest)
    ended = ended + 1
  end
end
if tonumber(redis.call('GET', epoch) or 0) < made then
  redis.call('SET', epoch, ARGV[2], 'PX', ARGV[1])
end
return ended
