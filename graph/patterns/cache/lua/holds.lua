-- The holds of writers on a tag, for the scripts that include this file.
--
-- Layout    '!nonce id expiry id expiry …' in place of the tag's generation (expiries in microseconds of the server's
--           clock). It expires with the last of the holds: a missing generation is a miss.

-- Read the holds on `key`, without that of `id` and those that have expired. Returns the time; the words of the tag
-- with a new `nonce`; when the last hold ends, 0 if none is left
local function others(key, id, nonce)
  local clock = redis.call('TIME')
  local now = clock[1] * 1000000 + clock[2]
  local words, last = { '!' .. nonce }, 0
  local current = redis.call('GET', key)
  if current and string.byte(current) == 33 then
    for other, expiry in string.gmatch(current, ' (%S+) (%d+)') do
      local ends = tonumber(expiry)
      if other ~= id and ends > now then
        words[#words + 1] = other
        words[#words + 1] = expiry
        last = math.max(last, ends)
      end
    end
  end
  return now, words, last
end

-- Write the holds on `key`, to expire with the last of them. Returns how many there are.
local function keep(key, now, words, last)
  redis.call('SET', key, table.concat(words, ' '), 'PX', math.ceil((last - now) / 1000))
  return (#words - 1) / 2
end
