-- Charge one or several sliding windows: all of them, or none.
--
-- KEYS[1..n]   one log per limit
-- KEYS[n+1]    optional guard: nothing is charged unless this key exists
-- ARGV[1]      n
-- ARGV[3i-1]   limit i: units that may pass in any window
-- ARGV[3i]     limit i: length of the window, microseconds
-- ARGV[3i+1]   limit i: units to charge now; 0 only reads
--
-- Result       {0} if the guard is missing; else
--              {1, now, allowed, remaining_1, reset_1, retry_1, remaining_2, …}
--              now: server clock, microseconds; allowed: 1 or 0; remaining: units left after this call;
--              reset: microseconds until the whole limit is free again; retry: microseconds until this charge
--              could pass if nobody else charges (0: this limit does not refuse, -1: it never could)
--
-- Rule         The units charged within any closed window never exceed the limit. A refusal writes nothing.
--
--@include again
--@include log

local n = tonumber(ARGV[1])
assert(#ARGV == 1 + 3 * n and (#KEYS == n or #KEYS == n + 1), 'wrong number of arguments')
if KEYS[n + 1] and redis.call('EXISTS', KEYS[n + 1]) == 0 then
  return {0}
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- microseconds until a log that holds `used` units, the newest from `at`, is empty
local function reset(used, at, window)
  return used > 0 and math.ceil(at + window - now) + 1 or 0
end

if n == 1 then
  local limit, window = tonumber(ARGV[2]), tonumber(ARGV[3])
  local used, at = again(KEYS[1], limit, window, tonumber(ARGV[4]), now)
  if used then
    return {1, now, 1, limit - used, reset(used, at, window), 0}
  end
end

local seen, allowed = {}, 1
for i = 1, n do
  local limit, window, units = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local used, at, held, older, retry = look(KEYS[i], limit, window, units, now)
  seen[i] = {limit = limit, window = window, units = units, used = used, at = at, held = held, older = older, retry = retry}
  if retry ~= 0 then
    allowed = 0
  end
end

local result = {1, now, allowed}
for i = 1, n do
  local log = seen[i]
  if allowed == 1 and log.units > 0 then
    log.at = write(KEYS[i], log.limit, log.window, log.units, now, log.used, log.at, log.held, log.older)
    log.used = log.used + log.units
  end
  result[3 * i + 1] = log.limit - log.used
  result[3 * i + 2] = reset(log.used, log.at, log.window)
  result[3 * i + 3] = log.retry
end
return result
