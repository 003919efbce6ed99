-- Queue a failed job again, with all of its retries.
--
-- KEYS[1]   record
-- KEYS[2]   unique key
-- KEYS[3]   queue (stream)
-- KEYS[4]   failed jobs (sorted set)
-- ARGV[1]   id
--
-- Rule      Attempts keep counting up, so one that was frozen all the time stays superseded.
--
-- Result    1; 0 if there is no such failed job; -1 if another job with its unique key is unfinished
if redis.call('HGET', KEYS[1], 'state') ~= 'FAILED' then
  return 0
end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX') then
  return -1
end
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'QUEUED', 'failures', 0, 'before', redis.call('HGET', KEYS[1], 'attempt'), 'done', 0)
redis.call('HDEL', KEYS[1], 'finished', 'error', 'trace', 'started')
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'id', ARGV[1])
return 1
