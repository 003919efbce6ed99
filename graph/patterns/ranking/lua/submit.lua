-- Store players' scores, one after the other, and return the rank of each before and after, in one step.
--
-- KEYS 1-4  the index: order, players, levels, state
--      5-8  the same of its successor, which exists while a rebuild is under way
-- ARGV 1    operator: best, latest or sum combine a score with the stored one; set replaces it
--      2    ties: earliest, competition or dense
--      then for each score
--      1    player
--      2    score (for sum: what to add), decimal text that reads back as the same double
--      3    when it was achieved, microseconds; '' = the server's clock, made strictly increasing
--      4    version, for set; '' otherwise
--      5    metadata: any text that is stored with the score; '' = none
-- Result    {} if there is no complete index (with set the successor has stored the scores anyway); else for each score
--           {'overflow'} if the sum is not finite; nothing is changed
--           {changed, rank or 0 (removed, by a newer version than this row's), score, achieved, version, former rank or 0, former score or '', server, build,
--            how many players there are now}
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
local operator, ties = ARGV[1], ARGV[2]
local dense = ties == 'dense'
assert(#KEYS == 8 and #ARGV % 5 == 2)

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

-- What an index is known by, read once; `keep` writes what `place` has made of it.
local function known(base)
  local read = redis.call('HMGET', KEYS[base + 4], 'size', 'seq', 'latest', 'server', 'build')
  return {
    base = base, there = read[1], size = tonumber(read[1]), seq = tonumber(read[2] or 0), latest = tonumber(read[3]),
    server = read[4], build = read[5],
  }
end

local function keep(index)
  if not index.changed then return end
  redis.call('HSET', KEYS[index.base + 4], 'size', index.size, 'seq', string.format('%.0f', index.seq),
    'latest', string.format('%.0f', index.latest))
end

-- Put an absolute row into an index, unless the one that it holds is at least as new.
local function place(index, held, player, score, achieved, version, metadata)
  local order, players, levels = KEYS[index.base + 1], KEYS[index.base + 2], KEYS[index.base + 3]
  local grown = 1
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
  index.changed, index.seq, index.size = true, index.seq + 1, index.size + grown
  index.latest = math.max(version, index.latest)
  redis.call('HSET', players, player, struct.pack(FIELDS, achieved, version, index.seq) .. metadata)
  redis.call('ZADD', order, inverse(score), struct.pack('>I7', achieved) .. player)
  if dense then
    redis.call('ZADD', levels, inverse(score), struct.pack('>d', 0 - score))
  end
  return true
end

local index, successor = known(0), known(4)
local complete = whole(index.there)

local function follow(player, score, achieved, version, metadata)
  place(successor, redis.call('HGET', KEYS[6], player), player, score, achieved, version, metadata)
end

local function store(player, score, achieved, version, metadata)
  if not complete then
    follow(player, score, achieved, version, metadata)
    return nil
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
  local given = string.format('%.17g', score)
  if operator ~= 'set' then
    if former and operator == 'sum' then score = former + score end
    if score - score ~= 0 then return { 'overflow' } end
    if not achieved then
      local clock = redis.call('TIME')
      achieved = math.max(clock[1] * 1000000 + clock[2], index.latest + 1)
    end
    version = math.max(achieved, newest + 1)
    if former and (score == former or (operator == 'best' and score < former)) then version = 0 end
  end
  local changed = place(index, held, player, score, achieved, version, metadata)
  if successor.there and version > 0 then follow(player, score, achieved, version, metadata) end
  if not changed then
    if not former then return { 0, 0, given, achieved, newest, 0, '', index.server, index.build, index.size } end
    score, achieved, version = former, former_achieved, newest
  end
  local member = struct.pack('>I7', achieved) .. player
  return {
    changed and 1 or 0, changed and rank(inverse(score), member) or former_rank,
    string.format('%.17g', score), achieved, version,
    former_rank, former and string.format('%.17g', former) or '', index.server, index.build, index.size,
  }
end

if not complete and not (operator == 'set' and successor.there) then return {} end
local stored = {}
for at = 3, #ARGV, 5 do
  stored[#stored + 1] = store(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4])
end
keep(index)
keep(successor)
if successor.changed then  -- it lives as long as its builder's lease; what is put into it must not outlive that
  local left = redis.call('PTTL', KEYS[8])
  for i = 5, 7 do redis.call('PEXPIRE', KEYS[i], left) end
end
return stored
