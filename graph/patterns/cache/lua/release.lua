#!lua flags=allow-oom
-- End a writer's hold on a tag: nothing that was loaded before is served again.
--
-- KEYS[1]   the tag
-- ARGV[1]   the hold; one that is not there invalidates all the same
-- ARGV[2]   the new generation; never used before
-- ARGV[3]   how long it lives, milliseconds
--
-- Result    how many holds of other writers are left
--
-- Rule      The tag gets its new generation only when no other hold is left; until then it keeps theirs, under a new
--           nonce. Must not be sent again with the same generation: that could bring an old one back.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local parts, last = { '!' .. ARGV[2] }, 0
local current = redis.call('GET', KEYS[1])
if current and string.byte(current) == 33 then
  for id, expiry in string.gmatch(current, ' (%S+) (%d+)') do
    local ends = tonumber(expiry)
    if id ~= ARGV[1] and ends > now then
      parts[#parts + 1] = id
      parts[#parts + 1] = expiry
      last = math.max(last, ends)
    end
  end
end
if last == 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], table.concat(parts, ' '), 'PX', math.ceil((last - now) / 1000))
end
return (#parts - 1) / 2
