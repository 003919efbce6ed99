-- Let other workers take over at once the deliveries that a worker does not work on: it stops, or a reply was lost.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   consumer
-- ARGV[3]   how long ago its last heartbeat should appear to be, milliseconds
-- ARGV[4…]  ids of the deliveries that it is working on
--
-- Result    deliveries released
--
-- Rule      They belong to the consumer until another one claims them, so nothing is lost if none does.
local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])
if held.err then -- no queue, or no group
  return 0
end
local busy = {}
for place = 4, #ARGV do
  busy[ARGV[place]] = true
end
local released = 0
for _, entry in ipairs(held) do
  if not busy[entry[1]] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'IDLE', ARGV[3], 'JUSTID')
    released = released + 1
  end
end
return released
