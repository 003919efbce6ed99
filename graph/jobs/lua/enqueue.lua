-- Record a job and queue it, unless one with the same unique key is queued or running.
--
-- KEYS[1]   record of the new job
-- KEYS[2]   unique key: holds the id of the unfinished job
-- KEYS[3]   queue (stream)
-- KEYS[4]   index of jobs (sorted set: created, microseconds -> id)
-- KEYS[5]   optional tick of a schedule: nothing happens if it exists already
-- ARGV[1]   id of the new job
-- ARGV[2]   name
-- ARGV[3]   arguments, as a JSON object
-- ARGV[4]   failures that are retried
-- ARGV[5]   time to live of the tick, milliseconds
-- ARGV[6]   span that queues it (traceparent), or ''
--
-- Result    id of the job that does the work, new or joined; '' if the tick was taken
--
-- Rule      At most one job per unique key is unfinished; at most one job per tick is ever queued.
if KEYS[5] and not redis.call('SET', KEYS[5], ARGV[1], 'NX', 'PX', ARGV[5]) then
  return ''
end
local under_way = redis.call('GET', KEYS[2])
if under_way then
  return under_way
end
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
redis.call('SET', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'name', ARGV[2], 'arguments', ARGV[3], 'retries', ARGV[4],
  'unique', KEYS[2], 'state', 'QUEUED', 'done', 0, 'attempt', 0, 'failures', 0, 'created', now)
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'trace', ARGV[6])
end
redis.call('ZADD', KEYS[4], now, ARGV[1])
redis.call('XADD', KEYS[3], '*', 'id', ARGV[1])
return ARGV[1]
