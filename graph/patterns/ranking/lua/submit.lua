-- Store one player's score, and return its rank before and after, in one step.
--
-- KEYS 1-4  the index: order, players, levels, state
--      5-8  the same of its successor, which exists while a rebuild is under way
-- ARGV 1    operator: best, latest or sum combine the score with the stored one; set replaces it
--      2    ties: earliest, competition or dense
--      3    player
--      4    score (for sum: what to add), decimal text that reads back as the same double
--      5    when it was achieved, microseconds; '' = the server's clock, made strictly increasing
--      6    version, for set; '' otherwise
--      7    metadata: any text that is stored with the score; '' = none
-- Result    {} if there is no complete index (with set the successor has stored the score anyway)
--           {'overflow'} if the sum is not finite; nothing is changed
--           {changed, rank or 0 (removed, by a newer version than this row's), score, achieved, version, former rank or 0, former score or '', server, build}
--
-- Rule      A row replaces an older one only (by version), in the index and in its successor alike. A score that equals
--           the stored one changes nothing, so that its time, and so its place among equals, is kept.
--
-- Higher scores are better here; a ranking in which low scores are better passes their negatives.
--
-- order   sorted set: member = time achieved ('>I7') .. player, score = 0 - score: the best come first and equal ones
--         in order of time, without using bits of the score
-- players hash: player -> time achieved, version, sequence number of the change ('>I7I7I6'), metadata; time 0: removed
-- levels  sorted set, only for dense: one member ('>d') for each distinct score of order
-- state   hash: size, seq, latest (newest version), build (its name), server (process it was completed on), through
--         (every row up to this version was in it at some time while that process served)
local FIELDS = '>I7I7I6'
local operator, ties, player = ARGV[1], ARGV[2], ARGV[3]
local dense = ties == 'dense'
assert(#KEYS == 8 and #ARGV == 7)

local function whole(size)
  if not size then return false end
  if size == '0' then return true end
  if dense then return redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 3 end
  return redis.call('EXISTS', KEYS[1], KEYS[2]) == 2
end

local function rank(score, member)
  if ties == 'earliest' then return redis.call('ZRANK', KEYS[1], member) + 1 end
  return redis.call('ZCOUNT', dense and KEYS[3] or KEYS[1], '-inf', '(' .. score) + 1
end

local function inverse(score)
  return string.format('%.17g', 0 - score)
end

-- Put an absolute row into the index whose keys begin at base + 1, unless the stored one is at least as new.
local function place(base, score, achieved, version)
  local order, players, levels, state = KEYS[base + 1], KEYS[base + 2], KEYS[base + 3], KEYS[base + 4]
  local held, grown = redis.call('HGET', players, player), 1
  if held then
    local when, newest = struct.unpack('>I7I7', held)
    if newest >= version then return false end
    if when > 0 then
      local member = string.sub(held, 1, 7) .. player
      local level = dense and redis.call('ZSCORE', order, member)
      redis.call('ZREM', order, member)
      if dense and redis.call('ZCOUNT', order, level, level) == 0 then
        redis.call('ZREM', levels, struct.pack('>d', tonumber(level)))
      end
      grown = 0
    end
  end
  local known = redis.call('HMGET', state, 'size', 'latest')
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  redis.call('HSET', players, player, struct.pack(FIELDS, achieved, version, seq) .. ARGV[7])
  redis.call('ZADD', order, inverse(score), struct.pack('>I7', achieved) .. player)
  if dense then
    redis.call('ZADD', levels, inverse(score), struct.pack('>d', 0 - score))
  end
  redis.call('HSET', state, 'size', known[1] + grown,
    'latest', string.format('%.0f', math.max(version, tonumber(known[2]))))
  return true
end

local successor = redis.call('EXISTS', KEYS[8]) == 1
local state = redis.call('HMGET', KEYS[4], 'size', 'latest', 'server', 'build')
local score, achieved, version = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
-- The successor lives as long as its builder's lease; what is put into it must not outlive that.
local function follow()
  if not place(4, score, achieved, version) then return end
  local left = redis.call('PTTL', KEYS[8])
  for i = 5, 7 do redis.call('PEXPIRE', KEYS[i], left) end
end

if not whole(state[1]) then
  if operator == 'set' and successor then follow() end
  return {}
end

local held, former, former_rank, former_achieved, newest = redis.call('HGET', KEYS[2], player), nil, 0, 0, 0
if held then
  former_achieved, newest = struct.unpack('>I7I7', held)
  if former_achieved > 0 then
    local member = string.sub(held, 1, 7) .. player
    local text = redis.call('ZSCORE', KEYS[1], member)
    former = 0 - tonumber(text)
    former_rank = rank(text, member)
  end
end

if operator ~= 'set' then
  if former and operator == 'sum' then score = former + score end
  if score - score ~= 0 then return { 'overflow' } end
  if not achieved then
    local clock = redis.call('TIME')
    achieved = math.max(clock[1] * 1000000 + clock[2], tonumber(state[2]) + 1)
  end
  version = math.max(achieved, newest + 1)
  if former and (score == former or (operator == 'best' and score < former)) then version = 0 end
end

local changed = place(0, score, achieved, version)
if successor and version > 0 then follow() end
if not changed then
  if not former then return { 0, 0, ARGV[4], achieved, newest, 0, '', state[3], state[4] } end
  score, achieved, version = former, former_achieved, newest
end
local member = struct.pack('>I7', achieved) .. player
return {
  changed and 1 or 0, changed and rank(inverse(score), member) or former_rank,
  string.format('%.17g', score), achieved, version,
  former_rank, former and string.format('%.17g', former) or '', state[3], state[4],
}
