-- The log of one sliding window (layout: log.lua): the fast path for a limit above 128 units, whose charges share
-- slices of 1/128 of the window. Another charge in the slice of the last one only changes the first bytes of the log.
local SLICES = 128

-- Charge `units` to the log `key` if the fast path applies. Returns the units held afterwards and the newest charge's
-- time, or nothing: see log.lua.
local function again(key, limit, window, units, now)
  if limit <= SLICES or units == 0 then
    return
  end
  local raw = redis.call('GETRANGE', key, 0, 31) -- the totals, the newest charge, and the time of the oldest one
  if #raw < 20 then
    return
  end
  local used, at, held = struct.unpack('<ddI4', raw)
  local slice = window / SLICES
  used = used + units
  if at < math.ceil(now / slice) * slice or at > now + window or used > limit or (#raw > 20 and struct.unpack('<d', raw, 21) + window < now) then
    return
  end
  redis.call('SETRANGE', key, 0, struct.pack('<ddI4', used, at, held + units))
  return used, at
end
