-- Begin a rebuild: an empty successor that belongs to one builder.
--
-- KEYS 1-4  the index   5-8  its successor (layout: submit.lua)
-- ARGV 1    the builder's token
--      2    lease, milliseconds: how long the successor lives unless rows are loaded
--      3    1 = only if there is no complete index
--      4    1 = dense ties
-- Result    1 if this builder may load rows; 0 if another one is doing so, or has done so
--
-- Rule      At most one builder at a time. What a dead one has left expires with its lease and is not used.
assert(#KEYS == 8 and #ARGV == 4)
local owner = redis.call('HGET', KEYS[8], 'build')
if owner then return owner == ARGV[1] and 1 or 0 end
if ARGV[3] == '1' then
  local size = redis.call('HGET', KEYS[4], 'size')
  local keys = redis.call('EXISTS', KEYS[1], KEYS[2], ARGV[4] == '1' and KEYS[3] or KEYS[4])
  if size and (size == '0' or keys == 3) then return 0 end
end
redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7])
redis.call('HSET', KEYS[8], 'build', ARGV[1], 'size', 0, 'seq', 0, 'latest', 0, 'through', 0)
redis.call('PEXPIRE', KEYS[8], ARGV[2])
return 1
