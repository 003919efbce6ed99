-- Load rows into the successor.
--
-- KEYS 1-4  order, players, levels, state of the successor (layout: submit.lua)
-- ARGV 1    the builder's token
--      2    lease, milliseconds
--      3    1 = keep levels (dense ties)
--      4    newest version among the rows
--      5..  rows, each: player, 0 - score (decimal text), its field in players, 0 - score ('>d')
-- Result    1; 0 if the successor does not belong to this builder any more
--
-- Rule      As in submit.lua, a row replaces only an older one, so rows that were submitted meanwhile stay.
local ORDER, PLAYERS, LEVELS, STATE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dense = ARGV[3] == '1'
assert(#KEYS == 4 and (#ARGV - 4) % 4 == 0)
if redis.call('HGET', STATE, 'build') ~= ARGV[1] then return 0 end

local players = {}
for i = 5, #ARGV, 4 do players[#players + 1] = ARGV[i] end
local held = #players > 0 and redis.call('HMGET', PLAYERS, unpack(players)) or {}
local members, rows, levels, grown = {}, {}, {}, 0
for i, player in ipairs(players) do
  local at = 4 * i + 1
  local row, replace = ARGV[at + 2], true
  if held[i] then
    local when, newest = struct.unpack('>I7I7', held[i])
    local _, version = struct.unpack('>I7I7', row)
    replace = version > newest
    if replace and when > 0 then
      local member = string.sub(held[i], 1, 7) .. player
      local level = redis.call('ZSCORE', ORDER, member)
      redis.call('ZREM', ORDER, member)
      if dense and redis.call('ZCOUNT', ORDER, level, level) == 0 then
        redis.call('ZREM', LEVELS, struct.pack('>d', tonumber(level)))
      end
      grown = grown - 1
    end
  end
  if replace then
    grown = grown + 1
    members[#members + 1], members[#members + 2] = ARGV[at + 1], string.sub(row, 1, 7) .. player
    rows[#rows + 1], rows[#rows + 2] = player, row
    levels[#levels + 1], levels[#levels + 2] = ARGV[at + 1], ARGV[at + 3]
  end
end
if #rows > 0 then
  redis.call('ZADD', ORDER, unpack(members))
  redis.call('HSET', PLAYERS, unpack(rows))
  if dense then redis.call('ZADD', LEVELS, unpack(levels)) end
  redis.call('HINCRBY', STATE, 'size', grown)
  local latest = tonumber(redis.call('HGET', STATE, 'latest'))
  redis.call('HSET', STATE, 'latest', string.format('%.0f', math.max(latest, tonumber(ARGV[4]))))
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return 1
