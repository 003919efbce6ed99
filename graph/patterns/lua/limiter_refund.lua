-- Give units back to a sliding window, newest charges first.
--
-- KEYS[1]   the log of one limit (layout: limiter_charge.lua)
-- ARGV[1]   units to give back
--
-- Result    units that were given back: fewer when fewer are held
--
-- Rule      What is given back was charged before; the log never holds less than nothing.
local HEAD, ENTRY = 8, 12

local back = tonumber(ARGV[1])
local raw = redis.call('GET', KEYS[1])
if not raw or back <= 0 then
  return 0
end

local used, size, given = struct.unpack('<d', raw), #raw, 0
local tail = ''
while given < back and size > HEAD do
  local at, held = struct.unpack('<dI4', raw, size - ENTRY + 1)
  local part = math.min(held, back - given)
  given = given + part
  size = size - ENTRY
  if part < held then
    tail = struct.pack('<dI4', at, held - part)
  end
end

if size == HEAD and tail == '' then
  redis.call('DEL', KEYS[1])
else
  local body = struct.pack('<d', used - given) .. string.sub(raw, HEAD + 1, size) .. tail
  redis.call('SET', KEYS[1], body, 'KEEPTTL')
end
return given
