-- Bind a keyspace to a state of a database, and say that a process uses it.
--
-- KEYS  1  the state that the keyspace is bound to: string, durable
--       2  its processes: sorted set, member = process, score = when it counts no more (ms)
-- ARGV  1  the state that the caller has seen; '' = none
--       2  the state to bind to
--       3  the process
--       4  how long it counts (ms)
--       5  the last word of the process as it knows it (ms); 0 = none
--       6  given where everybody who is there counts anew: what they said before was put back by somebody
-- Result  until when the process counts (ms), or 0 where the keyspace was bound to something else meanwhile
-- Rule  Nothing is bound where an earlier word of the process is found: somebody has put back what was there then.
--       Of several callers that saw the same state one wins; the others look again.
local bound = redis.call('GET', KEYS[1]) or ''
if bound ~= ARGV[1] and bound ~= ARGV[2] then
  return 0
end
local word = redis.call('ZSCORE', KEYS[2], ARGV[3])
if word and tonumber(word) < tonumber(ARGV[5]) then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
local till = string.format('%.0f', now + ARGV[4])
redis.call('ZADD', KEYS[2], till, ARGV[3])
if ARGV[6] then
  for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('ZADD', KEYS[2], till, other)
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return till
