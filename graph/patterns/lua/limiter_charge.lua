-- Charge one or several sliding windows: all of them, or none.
--
-- KEYS[1..n]   one log per limit
-- KEYS[n+1]    optional guard: nothing is charged unless this key exists
-- ARGV[1]      n
-- ARGV[3i-1]   limit i: units that may pass in any window
-- ARGV[3i]     limit i: length of the window, microseconds
-- ARGV[3i+1]   limit i: units to charge now; 0 only reads
--
-- Result       {0} when the guard is missing; else
--              {1, now, allowed, remaining_1, reset_1, retry_1, remaining_2, …}
--              now: server clock, microseconds; allowed: 1 or 0; remaining: units left after this call;
--              reset: microseconds until the whole limit is free again; retry: microseconds until this charge
--              could pass if nobody else charges (0: this limit does not refuse, -1: it never could)
--
-- Rule         The units charged within any closed window never exceed the limit. A refusal writes nothing.
--
-- A log is one string: the units it holds ('<d'), then an entry per charge, oldest first: when ('<d', microseconds)
-- and how many units ('<I4'). Limits above 128 units share an entry per 1/128 of the window, dated to the end of
-- that slice, which errs on the side of the limit and bounds the log at 1.6 KB.
local HEAD, ENTRY, SLICES = 8, 12, 128

local n = tonumber(ARGV[1])
assert(#ARGV == 1 + 3 * n and (#KEYS == n or #KEYS == n + 1), 'wrong number of arguments')
if KEYS[n + 1] and redis.call('EXISTS', KEYS[n + 1]) == 0 then
  return {0}
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local logs, allowed = {}, 1
for i = 1, n do
  local limit, window, units = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local raw = redis.call('GET', KEYS[i]) or ''
  local size, used, first, last = #raw, 0, HEAD + 1, 0
  if size > 0 then
    used = struct.unpack('<d', raw)
    last = struct.unpack('<d', raw, size - ENTRY + 1)
    while first < size do
      local at, held = struct.unpack('<dI4', raw, first)
      if at + window >= now then
        break
      end
      used = used - held
      first = first + ENTRY
    end
  end
  local retry = 0
  if used + units > limit then
    allowed = 0
    retry = -1
    local left, at, held = used, 0, 0
    for position = first, size - ENTRY + 1, ENTRY do
      at, held = struct.unpack('<dI4', raw, position)
      left = left - held
      if left + units <= limit then
        retry = at + window - now + 1
        break
      end
    end
  end
  logs[i] = {raw = raw, first = first, used = used, last = last, limit = limit, window = window, units = units, retry = retry}
end

local result = {1, now, allowed}
for i = 1, n do
  local log = logs[i]
  if allowed == 1 and log.units > 0 then
    local at, kept = now, string.sub(log.raw, log.first)
    if log.limit > SLICES then
      local slice = log.window / SLICES
      at = math.ceil(now / slice) * slice
    end
    if at < log.last then
      at = log.last -- the clock stepped back: keep the log in order
    end
    local units = log.units
    if at == log.last and #kept > 0 then
      local _, held = struct.unpack('<dI4', kept, #kept - ENTRY + 1)
      kept = string.sub(kept, 1, -ENTRY - 1)
      units = units + held
    end
    log.used, log.last = log.used + log.units, at
    local ttl = math.ceil((at + log.window - now) / 1000) + 1
    redis.call('SET', KEYS[i], struct.pack('<d', log.used) .. kept .. struct.pack('<dI4', at, units), 'PX', ttl)
  end
  result[3 * i + 1] = log.limit - log.used
  result[3 * i + 2] = log.used > 0 and math.ceil(log.last + log.window - now) + 1 or 0
  result[3 * i + 3] = math.ceil(log.retry)
end
return result
