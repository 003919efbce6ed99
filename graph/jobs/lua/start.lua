-- Begin an attempt at a job.
--
-- KEYS[1]   record
-- ARGV[1]   attempts after which a job is given up, however they ended (its workers died)
--
-- Result    {attempt, failures, retries, unique key, name, arguments, trace}; the attempt is 0 if there is nothing to do
--           (finished or discarded meanwhile), and -1 if the job has been attempted too often: then `failures` is the
--           number of the attempt that records this
--
-- Rule      An attempt supersedes every earlier one: only the newest may report progress or finish.
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'SUCCEEDED' or state == 'FAILED' then
  return {0, 0, 0, '', '', '', ''}
end
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'RUNNING', 'started', now)
local facts = redis.call('HMGET', KEYS[1], 'failures', 'retries', 'before', 'unique', 'name', 'arguments', 'trace')
local unique, name, arguments, trace = facts[4] or '', facts[5] or '', facts[6] or '', facts[7] or ''
if attempt - (tonumber(facts[3]) or 0) > tonumber(ARGV[1]) then
  return {-1, attempt, 0, unique, name, arguments, trace}
end
return {attempt, tonumber(facts[1]) or 0, tonumber(facts[2]) or 0, unique, name, arguments, trace}
