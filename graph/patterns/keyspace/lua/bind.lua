-- Bind a keyspace to a state of a database, and say that a process uses it.
--
-- KEYS  1  the state that the keyspace is bound to: string, durable
--       2  its processes: sorted set, member = process, score = when it counts no more (ms)
-- ARGV  1  the state that the caller has seen; '' = none
--       2  the state to bind to
--       3  the process
--       4  how long it counts (ms)
-- Result  1, or 0 where the keyspace was bound to something else meanwhile
-- Rule  Of several callers that saw the same state one wins; the others look again.
local bound = redis.call('GET', KEYS[1]) or ''
if bound ~= ARGV[1] and bound ~= ARGV[2] then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[4]), ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
