-- Let others take over at once what a worker that stops was given and has not finished.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   consumer
-- ARGV[3]   how silent to make its deliveries look, milliseconds
--
-- Result    deliveries handed over
--
-- Rule      They stay the consumer's until somebody claims them: nothing is lost when nobody does.
local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000, ARGV[2])
if held.err then -- no queue, or no group
  return 0
end
for _, entry in ipairs(held) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'IDLE', ARGV[3], 'JUSTID')
end
return #held
