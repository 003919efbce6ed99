-- Take over deliveries whose worker has stopped sending heartbeats.
--
-- KEYS[1]   queue (stream)
-- ARGV[1]   consumer group
-- ARGV[2]   consumer that takes them over
-- ARGV[3]   how long a delivery has been without a heartbeat, milliseconds
-- ARGV[4]   most deliveries to take
--
-- Result    {delivery, job id, delivery, job id, …}; the id is '' for an entry that is not a job
--
-- Rule      If the group, or the whole queue, was lost, it is created again and begins with what is in the queue.
local cursor, found = '0-0', {}
repeat
  local page = redis.pcall('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], cursor, 'COUNT', ARGV[4] - #found / 2)
  if page.err then
    if not string.find(page.err, '^NOGROUP') then
      return page
    end
    redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
    return found
  end
  for _, entry in ipairs(page[2]) do
    local id = ''
    for field = 1, #entry[2], 2 do
      if entry[2][field] == 'id' then
        id = entry[2][field + 1]
      end
    end
    found[#found + 1], found[#found + 2] = entry[1], id
  end
  cursor = page[1]
until cursor == '0-0' or #found >= 2 * ARGV[4]
return found
