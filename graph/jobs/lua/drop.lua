-- Remove a delivery that is not needed any more from the queue.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   id of the delivery
--
-- Result    entries removed
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
