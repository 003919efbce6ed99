-- Remove an entry that cannot be processed from the queue, and keep its content for inspection.
--
-- KEYS[1]   queue (stream)
-- KEYS[2]   entries set aside (stream: why, and the entry's own fields)
-- ARGV[1]   consumer group
-- ARGV[2]   id of the entry
-- ARGV[3]   deliveries that it must have had
-- ARGV[4]   why, for people
-- ARGV[5]   most entries to keep
-- ARGV[6]   how long they are kept, milliseconds
--
-- Result    1, or 0 if it has not been delivered so often
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
if pending and pending[4] < tonumber(ARGV[3]) then
  return 0
end
local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if entry then
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], '*', 'why', ARGV[4], unpack(entry[2], 1, math.min(#entry[2], 100)))
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
