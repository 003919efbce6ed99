-- Remove a player.
--
-- KEYS 1-4  the index   5-8  its successor while a rebuild is under way (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2    player
--      3    version; '' = one more than the stored one
-- Result    -1 if there is no complete index; 1 if an entry was removed; 0 if there was none, or a newer one
--
-- Rule      The version stays without an entry, so that an older row that arrives late does not bring the entry back.
local dense, player, wanted = ARGV[1] == 'dense', ARGV[2], tonumber(ARGV[3])
assert(#KEYS == 8 and #ARGV == 3)

local function remove(base, version)
  local order, players, levels, state = KEYS[base + 1], KEYS[base + 2], KEYS[base + 3], KEYS[base + 4]
  local row, when, newest = redis.call('HGET', players, player), 0, 0
  if row then when, newest = struct.unpack('>I7I7', row) end
  version = version or newest + 1
  if newest >= version then return 0, newest end
  redis.call('HSET', players, player, struct.pack('>I7I7I6', 0, version, 0))
  local latest = tonumber(redis.call('HGET', state, 'latest'))
  redis.call('HSET', state, 'latest', string.format('%.0f', math.max(version, latest)))
  if when == 0 then return 0, version end
  local member = string.sub(row, 1, 7) .. player
  local level = dense and redis.call('ZSCORE', order, member)
  redis.call('ZREM', order, member)
  if dense and redis.call('ZCOUNT', order, level, level) == 0 then
    redis.call('ZREM', levels, struct.pack('>d', tonumber(level)))
  end
  redis.call('HINCRBY', state, 'size', -1)
  redis.call('HINCRBY', state, 'seq', 1)
  return 1, version
end

local size, removed, version = redis.call('HGET', KEYS[4], 'size'), -1, wanted
local keys = dense and redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) or redis.call('EXISTS', KEYS[1], KEYS[2]) + 1
if size and (size == '0' or keys == 3) then
  removed, version = remove(0, wanted)
end
if version and redis.call('EXISTS', KEYS[8]) == 1 then remove(4, version) end
return removed
