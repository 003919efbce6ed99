-- Let anybody take over at once what a worker was given and does not work on: it stops, or the reply was lost.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   consumer
-- ARGV[3]   how silent to make its deliveries look, milliseconds
-- ARGV[4…]  ids of the deliveries that it works on
--
-- Result    deliveries released
--
-- Rule      They stay the consumer's until somebody claims them: nothing is lost when nobody does.
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
