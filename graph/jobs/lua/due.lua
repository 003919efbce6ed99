-- Put jobs whose delay is over back into the queue.
--
-- KEYS[1]   jobs to be tried again (sorted set: due, microseconds -> id)
-- KEYS[2]   queue (stream)
-- ARGV[1]   most jobs to move
--
-- Result    jobs moved
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  redis.call('XADD', KEYS[2], '*', 'id', id)
  redis.call('ZREM', KEYS[1], id)
end
return #due
