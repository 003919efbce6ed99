-- Register a process as alive, publish what it knows about budgets, and read what the others know.
--
-- KEYS  1  the fleet: sorted set, member = process, score = when it was last alive (µs)
--       2  the news: stream of {'p', process, 'b', budgets}
-- ARGV  1  the process
--       2  how long a process counts as alive after its last beat (ms)
--       3  its budgets; '' = no news
--       4  the last news that it has read
--       5  how long news is kept (ms)
-- Result  {processes, now (ms), last news, {{id, budgets of another process}, ..}}
-- Rule  News is read before it is added, so no process reads its own; it is trimmed by age, and both keys expire with
--       the fleet.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local ms = math.floor(now / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2] * 1000))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])

local news, last = {}, ARGV[4]
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. last, '+', 'COUNT', 1000)) do
  last = entry[1]
  if entry[2][2] ~= ARGV[1] then
    news[#news + 1] = { entry[1], entry[2][4] }
  end
end
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[2], 'MINID', '~', string.format('%.0f', ms - ARGV[5]), '*', 'p', ARGV[1], 'b', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return { redis.call('ZCARD', KEYS[1]), ms, last, news }
