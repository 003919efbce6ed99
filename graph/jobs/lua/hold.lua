-- Send a heartbeat for deliveries, so that they are not taken over.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   consumer
-- ARGV[3…]  ids of the deliveries that it is working on
--
-- Result    ids that do not belong to it any more
--
-- Rule      A delivery that was taken over meanwhile is not taken back.
local lost = {}
for place = 3, #ARGV do
  local entry = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[place], ARGV[place], 1)[1]
  if entry and entry[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[place], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[place]
  end
end
return lost
