-- Read the events after a position and the end of a topic's history, as of one instant.
--
-- KEYS[1] history   KEYS[2] state, both as in publish.lua
-- ARGV[1] nonce of the position   ARGV[2] its `<time>-<offset>`
-- ARGV[3] most events to return; 0: none, -1: only the newest   ARGV[4] lifetime of the state, milliseconds
-- ARGV[5] a nonce, used if the history is new; '': its log will name it
--
-- Result: {nonce or '', run, '<time>-<offset>' of the newest event or '0-0', {{id, {'e', event}}, ...}}
--
-- Rule: the history of another nonce is unknown to the reader from its first event on. Reading keeps the state alive,
-- so a topic with subscribers does not lose its nonce while nothing is published. An empty history has its nonce from
-- the first reader on: who was there before its first event can tell it from the one after a loss. A server without room
-- for that has no nonce yet.
assert(#KEYS == 2 and #ARGV == 5)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w%w%w%w%w%w%w%w)') or '0'
local state = redis.call('HMGET', KEYS[2], 'nonce', 'offset', 'time')
if not state[1] then
  if ARGV[5] == '' or redis.pcall('HSET', KEYS[2], 'nonce', ARGV[5], 'offset', 0, 'time', 0) ~= 3 then
    return {'', run, '0-0', {}}
  end
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('DEL', KEYS[1])
  return {ARGV[5], run, '0-0', {}}
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])

local first = '-'
if state[1] == ARGV[1] then
  first = '(' .. ARGV[2]
end
local entries = {}
local count = tonumber(ARGV[3])
if count > 0 then
  entries = redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', count)
elseif count < 0 then
  entries = redis.call('XREVRANGE', KEYS[1], '+', first, 'COUNT', 1)
end
return {state[1], run, state[3] .. '-' .. state[2], entries}
