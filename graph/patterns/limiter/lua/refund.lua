-- Give units back to a sliding window, newest charges first.
--
-- KEYS[1]   the log of one limit (layout: log.lua)
-- ARGV[1]   units to give back
--
-- Result    units that were given back: fewer if fewer are held
--
-- Rule      Only charged units can be given back; the log never gets below zero.
--
local HEAD, ENTRY = 20, 12

local back = tonumber(ARGV[1])
local raw = redis.call('GET', KEYS[1])
if not raw or back <= 0 then
  return 0
end

local used, at, held = struct.unpack('<ddI4', raw)
local size, given = #raw, 0
while true do
  local part = math.min(held, back - given)
  given, held = given + part, held - part
  if held > 0 or size == HEAD then
    break
  end
  at, held = struct.unpack('<dI4', raw, size - ENTRY + 1)
  size = size - ENTRY
end

if held == 0 then
  redis.call('DEL', KEYS[1])
else
  local left = struct.pack('<ddI4', used - given, at, held) .. string.sub(raw, HEAD + 1, size)
  redis.call('SET', KEYS[1], left, 'KEEPTTL')
end
return given
