-- Publish events with the offsets of a durable log outside Redis, in one step and each at most once.
--
-- KEYS[1] history   KEYS[2] state   KEYS[3] channel, all as in publish.lua
-- ARGV[1] nonce: the name of the durable log   ARGV[2] most events kept
-- ARGV[3] oldest event kept, microseconds   ARGV[4] lifetime of the state, milliseconds
-- ARGV[5] SPUBLISH in a cluster, else PUBLISH   ARGV[6] offset of the first event; the others follow it one by one
-- ARGV[7] offset of the event before the first
-- ARGV[8] 1: a history that does not exist yet may begin with the first event
-- ARGV[9], ARGV[10] …   the events
--
-- Result: the newest offset afterwards: that of the last event, or a later one, if all events are in the history; -1 if
-- there is no history of this log and ARGV[8] is not 1.
--
-- Rule: an event is appended only right after the one before it, so every event is published once and in order, however
-- often and by however many processes the log is published; a result below ARGV[7] says where to continue. The position
-- does not name the server process: what a restarted server has lost is published again with the same offset.
assert(#KEYS == 3 and #ARGV >= 9)
local state = redis.call('HMGET', KEYS[2], 'nonce', 'offset', 'time')
local nonce, offset, at = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0)
local first, before = tonumber(ARGV[6]), tonumber(ARGV[7])
if nonce ~= ARGV[1] then
  if ARGV[8] ~= '1' then return -1 end
  redis.call('DEL', KEYS[1])
  offset, at = before, 0
end
if offset == before then
  offset = first - 1
end
local last = first + #ARGV - 9
if offset < first - 1 or offset >= last then
  return offset
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if now > at then at = now end
local time = string.format('%.0f', at)
for number = offset + 1, last do
  local event = ARGV[9 + number - first]
  local id = string.format('%s-%.0f', time, number)
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], id, 'e', event)
  redis.call(ARGV[5], KEYS[3], ARGV[1] .. '..' .. id .. '\n' .. event)
end
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[3] / 1000)))
redis.call('HSET', KEYS[2], 'nonce', ARGV[1], 'offset', string.format('%.0f', last), 'time', time)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return last
