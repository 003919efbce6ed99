-- Report how far an attempt has come.
--
-- KEYS[1]   record
-- ARGV[1]   attempt
-- ARGV[2]   units done
-- ARGV[3]   units in all; '' while unknown
--
-- Result    1, or 0 if the attempt is not the newest any more or the job was discarded
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'RUNNING' then
  return 0
end
redis.call('HSET', KEYS[1], 'done', ARGV[2])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'total', ARGV[3])
end
return 1
