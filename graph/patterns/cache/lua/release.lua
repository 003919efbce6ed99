#!lua flags=allow-oom
-- End a writer's hold on a tag: nothing that was loaded before is served any more.
--
-- KEYS[1]   the tag (layout: holds.lua)
-- KEYS[2]   its channel
-- ARGV[1]   the hold; the tag is invalidated even if it does not exist
-- ARGV[2]   the new generation; never used before
-- ARGV[3]   how long it lives, milliseconds
-- ARGV[4]   PUBLISH, or in a cluster SPUBLISH
--
-- Result    how many holds of other writers are left
--
-- Rule      The tag gets its new generation only when no other hold is left; until then it keeps theirs, under a new
--           nonce. Must not be sent again with the same generation: that could bring an old one back.
--           Whoever follows the tag is told after the change. A server that refuses to tell does not undo the change.
--
--@include holds

local now, words, last = others(KEYS[1], ARGV[1], ARGV[2])
local left = 0
if last == 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  left = keep(KEYS[1], now, words, last)
end
redis.pcall(ARGV[4], KEYS[2], '')
return left
