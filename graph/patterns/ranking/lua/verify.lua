-- Record that the index includes everything that the current server process could have lost.
--
-- KEYS 1  state (layout: submit.lua)
-- ARGV 1  build that was brought up to date   2  server process during which that began
--      3  version up to which all rows are included
-- Result  1; 0 if the index or the server is another one by now
--
-- Rule    It counts only if all of the update happened while this server process was running.
assert(#KEYS == 1 and #ARGV == 3)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
if redis.call('HGET', KEYS[1], 'build') ~= ARGV[1] or run ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'server', run, 'through', ARGV[3])
return 1
