-- Append an event to a topic's history and publish it, in one step.
--
-- KEYS[1] history: a stream whose entries are `<time>-<offset>` with one field, the event
-- KEYS[2] state: a hash of `nonce` (this history's own name), `offset` and `time` of the newest event
-- KEYS[3] channel
-- ARGV[1] event   ARGV[2] a nonce, used if the history is new
-- ARGV[3] most events kept   ARGV[4] oldest event kept, microseconds   ARGV[5] lifetime of the state, milliseconds
-- ARGV[6] SPUBLISH in a cluster, else PUBLISH
--
-- Result: the event's position, `<nonce>.<run>.<time>-<offset>`. The channel gets it, a line feed and the event.
--
-- Rule: offsets count 1, 2, 3 within a nonce; times never go back within a nonce; a history without its state, or the
-- other way round after a loss, is never continued under the same nonce. `run` is the server process: after a restart
-- it may have lost the newest events, and gives out their offsets again.
assert(#KEYS == 3 and #ARGV == 6)
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local state = redis.call('HMGET', KEYS[2], 'nonce', 'offset', 'time')
local nonce, offset, at = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0)
if not nonce then
  nonce = ARGV[2]
  redis.call('DEL', KEYS[1])
end
offset = offset + 1
if now > at then at = now end

local id = string.format('%.0f-%.0f', at, offset)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w%w%w%w%w%w%w%w)') or '0'
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], id, 'e', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - ARGV[4]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[4] / 1000)))
redis.call('HSET', KEYS[2], 'nonce', nonce, 'offset', offset, 'time', string.format('%.0f', at))
redis.call('PEXPIRE', KEYS[2], ARGV[5])

local position = nonce .. '.' .. run .. '.' .. id
redis.call(ARGV[6], KEYS[3], position .. '\n' .. ARGV[1])
return position
