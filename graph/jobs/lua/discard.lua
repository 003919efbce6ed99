-- Forget a job. One that is under way stops at its next report; its delivery is dropped when it comes.
--
-- KEYS[1]   record
-- KEYS[2]   unique key
-- KEYS[3]   failed jobs (sorted set)
-- KEYS[4]   index of jobs (sorted set)
-- KEYS[5]   jobs to be tried again (sorted set)
-- ARGV[1]   id
--
-- Result    1, or 0 when there is no such job
local message = redis.call('HGET', KEYS[1], 'message')
if not message then
  return 0
end
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1] .. ' ' .. message)
redis.call('DEL', KEYS[1])
return 1
