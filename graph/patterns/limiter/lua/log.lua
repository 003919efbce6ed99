-- The log of one sliding window, for the scripts that include this file (and again.lua before it).
--
-- Layout       One string: the units that it holds ('<d'); the newest charge, when ('<d', microseconds) and how many
--              units ('<I4'); then the older charges in the same form, oldest first.
--
-- For limits above 128 units, the charges in each 1/128 of the window are merged and dated to the end of that slice,
-- which errs on the strict side and bounds the log at 1.6 KB.
--
-- The server's clock may be set back. Charges more than a window ahead are then dated to the present, so that no caller
-- is locked out for longer than a window, and no window holds more than the limit.
local HEAD, ENTRY = 20, 12

-- Read the log `key` before `units` are charged at `now`, without what has left the window. Returns units held; the
-- newest charge's time and units; the older charges; and how long to wait for room (microseconds; 0: there is room, -1:
-- there never will be).
local function look(key, limit, window, units, now)
  local raw = redis.call('GET', key) or ''
  if #raw < HEAD or (#raw - HEAD) % ENTRY > 0 then -- there is none, or somebody else's value in its place
    raw = ''
  end
  local size, used, at, held = #raw, 0, 0, 0
  if size > 0 then
    used, at, held = struct.unpack('<ddI4', raw)
  end
  if at > now + window then -- the server's clock was set back: all that is held counts as charged now
    at, held, size = now, used, HEAD
    raw = struct.pack('<ddI4', used, at, held)
    redis.call('SET', key, raw, 'PX', math.ceil(window / 1000) + 1)
  end
  local first = HEAD + 1
  while first < size do
    local old, gone = struct.unpack('<dI4', raw, first)
    if old + window >= now then
      break
    end
    used, first = used - gone, first + ENTRY
  end
  if at + window < now then
    used, at, held = 0, 0, 0
  end
  local older = string.sub(raw, first)
  if used + units <= limit then
    return used, at, held, older, 0
  end

  local left = used
  for position = 1, #older, ENTRY do
    local old, gone = struct.unpack('<dI4', older, position)
    left = left - gone
    if left + units <= limit then
      return used, at, held, older, math.ceil(old + window - now) + 1
    end
  end
  return used, at, held, older, units <= limit and math.ceil(at + window - now) + 1 or -1
end

-- Charge `units` at `now` to the log `key`, which has room for them, as `look` saw it. Returns the newest charge's
-- time.
local function write(key, limit, window, units, now, used, at, held, older)
  local moment = now
  if limit > SLICES then
    local slice = window / SLICES
    moment = math.ceil(now / slice) * slice
  end
  if held > 0 and at >= moment then -- the same slice; or the clock stepped back, and the log stays in order
    held = held + units
  else
    if held > 0 then
      older = older .. struct.pack('<dI4', at, held)
    end
    at, held = moment, units
  end
  local ttl = math.ceil((at + window - now) / 1000) + 1
  redis.call('SET', key, struct.pack('<ddI4', used + units, at, held) .. older, 'PX', ttl)
  return at
end
