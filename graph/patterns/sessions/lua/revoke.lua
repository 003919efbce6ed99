-- End sessions of one user: the ones given, or all.
--
-- KEYS  1     the user's index: sorted set, member = SHA-256 of a token, score = when last active (µs)
--       2     the user's epoch
--       3 ..  the sessions to end
-- ARGV  1     lifetime of the epoch (ms): longer than any login takes
--       2     'all', or 'these'
--       3     with 'all', SHA-256 of a token whose session is spared ('' = none)
--       4 ..  SHA-256 of the tokens of KEYS 3 ..
-- Result  {epoch, {SHA-256 of the ended ..}, {with 'all', SHA-256 of those still listed ..}}
-- Rule  The epoch changes with every call, so that a login in progress, whose credentials were checked before, is
--       checked again. With 'all' the caller repeats the call with the keys of those still listed until there are none.
local index, epoch = KEYS[1], KEYS[2]
local all, keep = ARGV[2] == 'all', ARGV[3]

local ended = {}
for i = 3, #KEYS do
  local digest = ARGV[i + 1]
  if redis.call('DEL', KEYS[i]) == 1 then
    ended[#ended + 1] = digest
  end
  redis.call('ZREM', index, digest)
end

local left = {}
if all then
  for _, digest in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if digest ~= keep then
      left[#left + 1] = digest
    end
  end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local moved = string.format('%.0f', math.max(now, tonumber(redis.call('GET', epoch) or 0) + 1))
redis.call('SET', epoch, moved, 'PX', ARGV[1])
return { moved, ended, left }
