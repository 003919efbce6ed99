-- Begin a rebuild: an empty successor that belongs to one builder.
--
-- KEYS 1-4  order, players, levels, state of the successor (layout: ranking_submit.lua)
-- ARGV 1    the builder's token
--      2    lease, milliseconds: how long the successor lives unless it is fed
-- Result    1 when this builder may feed it; 0 when another one is at work
--
-- Rule      At most one builder at a time. What a dead one has left expires with its lease, and is never built upon.
assert(#KEYS == 4 and #ARGV == 2)
local owner = redis.call('HGET', KEYS[4], 'build')
if owner then return owner == ARGV[1] and 1 or 0 end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[4], 'build', ARGV[1], 'size', 0, 'seq', 0, 'latest', 0, 'through', 0)
redis.call('PEXPIRE', KEYS[4], ARGV[2])
return 1
