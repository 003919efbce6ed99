-- Remove consumers whose workers are long gone from the group.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   how long a consumer has been silent, milliseconds
--
-- Result    consumers removed
--
-- Rule      Only consumers without deliveries are removed: other workers first take over those of a dead worker. A
--           worker that is alive after all joins the group again with its next read.
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then -- no queue, or no group: no worker has ever run
  return 0
end
local struck = 0
for _, consumer in ipairs(consumers) do
  local facts = {}
  for i = 1, #consumer, 2 do
    facts[consumer[i]] = consumer[i + 1]
  end
  if facts.pending == 0 and facts.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts.name)
    struck = struck + 1
  end
end
return struck
