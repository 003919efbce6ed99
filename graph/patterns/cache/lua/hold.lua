#!lua flags=allow-oom
-- Place or renew a writer's hold on a tag: nothing cached under the tag is served or filled until it ends.
--
-- KEYS[1]   the tag (layout: holds.lua)
-- ARGV[1]   the hold: a unique id
-- ARGV[2]   how long it lasts unless renewed, milliseconds
-- ARGV[3]   a nonce, never used before
--
-- Result    how many holds are on the tag now
--
-- Rule      Holds are independent: none ends or shortens another.
--
--@include holds

local now, words, last = others(KEYS[1], ARGV[1], ARGV[3])
local ends = now + ARGV[2] * 1000
words[#words + 1] = ARGV[1]
words[#words + 1] = string.format('%.0f', ends)
return keep(KEYS[1], now, words, math.max(last, ends))
