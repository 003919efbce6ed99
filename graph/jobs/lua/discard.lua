-- Delete a job. A running one stops at its next report; its delivery is dropped when it comes.
--
-- KEYS[1]   record
-- KEYS[2]   unique key
-- KEYS[3]   failed jobs (sorted set)
-- KEYS[4]   index of jobs (sorted set)
-- KEYS[5]   jobs to be tried again (sorted set)
-- KEYS[6]   succeeded jobs (sorted set)
-- ARGV[1]   id
--
-- Result    1, or 0 if there is no such job
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
for place = 3, 6 do
  redis.call('ZREM', KEYS[place], ARGV[1])
end
return redis.call('DEL', KEYS[1])
