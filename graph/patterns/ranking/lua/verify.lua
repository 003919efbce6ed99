-- Note that the index has everything which the server process at hand could have lost.
--
-- KEYS 1  state (layout: submit.lua)
-- ARGV 1  build that was brought up to date   2  server process during which that began
--      3  version up to which the rows are all there
-- Result  1; 0 when the index or the server is another one by now
--
-- Rule    Only what was brought up to date while this very process served counts.
assert(#KEYS == 1 and #ARGV == 3)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
if redis.call('HGET', KEYS[1], 'build') ~= ARGV[1] or run ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'server', run, 'through', ARGV[3])
return 1
