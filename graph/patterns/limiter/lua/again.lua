-- The log of one sliding window (layout: log.lua): the quick way for a limit above 128 units, whose charges
-- share 1/128 of the window. One more in the slice of the last charge touches the first bytes of the log alone.
local SLICES = 128

-- Charge `units` to the log `key` if that is all there is to it. Gives the units held then and the newest charge's time,
-- or nothing: see log.lua.
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
