-- Publish an event whose offset was given by a durable log outside Redis, as one step and at most once.
--
-- KEYS[1] history   KEYS[2] state   KEYS[3] channel, all as in broker_publish.lua
-- ARGV[1] event   ARGV[2] nonce: the name of the durable log   ARGV[3] most events kept
-- ARGV[4] oldest event kept, microseconds   ARGV[5] lifetime of the state, milliseconds
-- ARGV[6] SPUBLISH in a cluster, else PUBLISH   ARGV[7] offset of the event   ARGV[8] offset of the event before it
-- ARGV[9] 1: a history that does not exist yet may begin with this event
--
-- Result: the newest offset afterwards. It is ARGV[7] if the event stands in the history, now or since before; -1 if
-- there is no history of this log, and ARGV[9] is not 1.
--
-- Rule: an event is appended only right after the one before it, so whoever publishes the log, however often and from
-- however many processes, every event comes once and in order; an answer below ARGV[8] says from where to go on.
-- The position carries no server process: what a restarted server has lost comes again under the same offset.
assert(#KEYS == 3 and #ARGV == 9)
local state = redis.call('HMGET', KEYS[2], 'nonce', 'offset', 'time')
local nonce, offset, at = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0)
if nonce ~= ARGV[2] then
  if ARGV[9] ~= '1' then return -1 end
  redis.call('DEL', KEYS[1])
  offset, at = tonumber(ARGV[8]), 0
end
if offset ~= tonumber(ARGV[8]) then
  return offset
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if now > at then at = now end
local id = string.format('%.0f-%s', at, ARGV[7])
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], id, 'e', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - ARGV[4]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[4] / 1000)))
redis.call('HSET', KEYS[2], 'nonce', ARGV[2], 'offset', ARGV[7], 'time', string.format('%.0f', at))
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call(ARGV[6], KEYS[3], ARGV[2] .. '..' .. id .. '\n' .. ARGV[1])
return tonumber(ARGV[7])
