#!lua flags=allow-oom
-- Read the generation of a tag, creating one if there is none.
--
-- KEYS[1]   the tag
-- ARGV[1]   the generation to write if there is none; never used before
-- ARGV[2]   how long it must live at least, milliseconds
--
-- Result    the key's value: a generation, or the holds of writers (which begin with '!')
--
-- Rule      A generation that exists is never replaced here, and outlives every entry that is filled under it.
--           Its life is doubled when it is renewed, so that most fills write nothing.
local current = redis.call('GET', KEYS[1])
if not current then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', 2 * ARGV[2])
  return ARGV[1]
end
if string.byte(current) ~= 33 and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
end
return current
