-- Admit a request in one step if its session was used recently and its limit has room.
--
-- KEYS  1  the log of the limit (layout: log.lua)
--       2  optional: a key that must exist, the session
--       3  optional: the user's index (../../sessions/lua/touch.lua), which must list the session
-- ARGV  1  units that may pass in any window
--       2  length of the window (µs)
--       3  units to charge
--       4  SHA-256 of the session's token
--       5  accuracy (µs): how far the recorded activity may lag behind
--
-- Result  {now (µs), units left, microseconds until the whole limit is free again}; or nil, and nothing was changed:
--         the session has ended or its use has to be recorded (../../sessions/lua/touch.lua), or the limit refuses
--         (charge.lua)
--
-- Rule  What is admitted here would be admitted there, with the same effect: no use has to be recorded before
--       `accuracy` is over.
--
--@include again

if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then
  return nil
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if KEYS[3] then
  local last = redis.call('ZSCORE', KEYS[3], ARGV[4])
  if not last or now - last >= tonumber(ARGV[5]) then
    return nil
  end
end

local limit, window, units = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used, at = again(KEYS[1], limit, window, units, now)
if used then
  return {now, limit - used, math.ceil(at + window - now) + 1}
end

-- Creating functions takes time, so those for the slow path are only created there.
--@include log

local held, older, retry
used, at, held, older, retry = look(KEYS[1], limit, window, units, now)
if retry ~= 0 then
  return nil
end
if units > 0 then
  at = write(KEYS[1], limit, window, units, now, used, at, held, older)
  used = used + units
end
return {now, limit - used, used > 0 and math.ceil(at + window - now) + 1 or 0}
