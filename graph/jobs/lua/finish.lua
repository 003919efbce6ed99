-- End an attempt: the job succeeded, failed for good, or will be retried.
--
-- KEYS[1]   record
-- KEYS[2]   unique key
-- KEYS[3]   queue (stream)
-- KEYS[4]   jobs to be tried again (sorted set: due, microseconds -> id)
-- KEYS[5]   jobs that ended so, failed or succeeded (sorted set: finished, microseconds -> id)
-- KEYS[6]   index of jobs (sorted set)
-- ARGV[1]   id
-- ARGV[2]   attempt
-- ARGV[3]   id of the delivery in the queue
-- ARGV[4]   consumer group
-- ARGV[5]   SUCCEEDED, FAILED or QUEUED (try again)
-- ARGV[6]   error, for people; '' when there is none
-- ARGV[7]   trace; '' when there is none
-- ARGV[8]   delay before the next try, milliseconds
-- ARGV[9]   how long the record of a finished job is kept, milliseconds
-- ARGV[10]  most jobs that are listed of those that ended so
-- ARGV[11]  1 if the attempt counts as one of those that the job has, 0 if something was away
--
-- Result    {1, id, …}, with the jobs that are not listed any more, the oldest first; {0} if the attempt was
--           superseded: then nothing is changed, because the newer attempt is responsible for the job
--
-- Rule      The delivery is acknowledged in the same step that records what became of the job.
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[2] or redis.call('HGET', KEYS[1], 'state') ~= 'RUNNING' then
  return {0}
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local result = {1}
redis.call('HSET', KEYS[1], 'state', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[6], 'trace', ARGV[7])
  redis.call('HINCRBY', KEYS[1], ARGV[11] == '1' and 'failures' or 'before', 1)
end
if ARGV[5] == 'QUEUED' then
  redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[8] * 1000), ARGV[1])
else
  redis.call('HSET', KEYS[1], 'finished', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  if redis.call('GET', KEYS[2]) == ARGV[1] then
    redis.call('DEL', KEYS[2])
  end
  if ARGV[5] == 'SUCCEEDED' then
    redis.call('HDEL', KEYS[1], 'error', 'trace')
  end
  redis.call('ZADD', KEYS[5], string.format('%.0f', now), ARGV[1])
  local beyond = redis.call('ZCARD', KEYS[5]) - ARGV[10]
  if beyond > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[5], math.min(beyond, 100))
    for place = 1, #oldest, 2 do
      redis.call('ZREM', KEYS[6], oldest[place])
      result[#result + 1] = oldest[place]
    end
  end
end
redis.call('XACK', KEYS[3], ARGV[4], ARGV[3])
redis.call('XDEL', KEYS[3], ARGV[3])
return result
