-- Read what a keyspace is bound to, and which processes use it.
--
-- KEYS  1  the state that the keyspace is bound to
--       2  its processes: sorted set, member = process, score = when it counts no more (ms)
-- ARGV  1  the process that looks
-- Result  {state ('' = none), {process, score, ..}}
-- Rule  Others that count no more are left out.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local living = {}
local found = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for place = 1, #found, 2 do
  if found[place] == ARGV[1] or tonumber(found[place + 1]) > now then
    living[#living + 1] = found[place]
    living[#living + 1] = found[place + 1]
  end
end
return { redis.call('GET', KEYS[1]) or '', living }
