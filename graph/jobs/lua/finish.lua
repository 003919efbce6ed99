-- End an attempt: the job succeeded, failed for good, or is to be tried again.
--
-- KEYS[1]   record
-- KEYS[2]   unique key
-- KEYS[3]   queue (stream)
-- KEYS[4]   jobs to be tried again (sorted set: due, microseconds -> '<id> <message>')
-- KEYS[5]   failed jobs (sorted set: finished, microseconds -> id)
-- ARGV[1]   attempt
-- ARGV[2]   id of the delivery in the queue; '' when there is none
-- ARGV[3]   consumer group
-- ARGV[4]   SUCCEEDED, FAILED or QUEUED (try again)
-- ARGV[5]   error, for people; '' when there is none
-- ARGV[6]   trace; '' when there is none
-- ARGV[7]   delay before the next try, milliseconds
-- ARGV[8]   how long the record of a finished job is kept, milliseconds
--
-- Result    1, or 0 when the attempt was superseded: then nothing is changed, the newer attempt answers for the job
--
-- Rule      The delivery is acknowledged in the same step that records what became of the job.
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'RUNNING' then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
redis.call('HSET', KEYS[1], 'state', ARGV[4])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[5], 'trace', ARGV[6])
  redis.call('HINCRBY', KEYS[1], 'failures', 1)
end
if ARGV[4] == 'QUEUED' then
  local facts = redis.call('HMGET', KEYS[1], 'id', 'message')
  redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[7] * 1000), facts[1] .. ' ' .. facts[2])
else
  redis.call('HSET', KEYS[1], 'finished', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  local id = redis.call('HGET', KEYS[1], 'id')
  if redis.call('GET', KEYS[2]) == id then
    redis.call('DEL', KEYS[2])
  end
  if ARGV[4] == 'FAILED' then
    redis.call('ZADD', KEYS[5], string.format('%.0f', now), id)
  else
    redis.call('HDEL', KEYS[1], 'error', 'trace')
  end
end
if ARGV[2] ~= '' then
  redis.call('XACK', KEYS[3], ARGV[3], ARGV[2])
  redis.call('XDEL', KEYS[3], ARGV[2])
end
return 1
