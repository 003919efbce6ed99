-- Charge units that were granted while this server could not be asked, as far as there is room.
--
-- KEYS[1]   the log of one limit (layout: log.lua)
-- ARGV[1]   units that may pass in any window
-- ARGV[2]   length of the window (µs)
-- ARGV[3]   units that were granted
--
-- Result    units that were charged: fewer where the limit has less room
--
-- Rule      They count from now on, longer than from when they were granted: never too short.
--
--@include again
--@include log

local limit, window, units = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local used, at, held, older = look(KEYS[1], limit, window, 0, now)
units = math.min(units, limit - used)
if units <= 0 then
  return 0
end
write(KEYS[1], limit, window, units, now, used, at, held, older)
return units
