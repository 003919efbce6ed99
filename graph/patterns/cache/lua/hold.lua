#!lua flags=allow-oom
-- Place or renew a writer's hold on a tag: nothing cached under the tag is served or filled until it ends.
--
-- KEYS[1]   the tag
-- ARGV[1]   the hold: an id of its own
-- ARGV[2]   how long it lasts unless renewed, milliseconds
-- ARGV[3]   a nonce, never used before
--
-- Result    how many holds are on the tag now
--
-- Rule      Holds are independent. The tag holds '!nonce id expiry id expiry …' (microseconds of the server's clock)
--           in place of its generation and expires with the last of them: a missing generation is a miss.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local last = now + ARGV[2] * 1000
local parts = { '!' .. ARGV[3], ARGV[1], string.format('%.0f', last) }
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
redis.call('SET', KEYS[1], table.concat(parts, ' '), 'PX', math.ceil((last - now) / 1000))
return (#parts - 1) / 2
