-- Read a page of the ranking, from a position on or after an entry.
--
-- KEYS 1-4  order, players, levels, state (layout: submit.lua)
-- ARGV 1    ties: earliest, competition or dense
--      2    most entries wanted
--      3    position to begin at, 0 = the best; used unless ARGV 4 is given
--      4    score of the entry to begin after, decimal text; '' = none
--      5    its member of order
--      6    build of the index that the first page was read from; '' = leave out no entry
--      7    sequence number of that index when the first page was read
--      8    1 = with metadata
-- Result    {} if there is no complete index
--           {size, position, rank of the first entry, how many are ahead of it, entries scanned {member, score, ...},
--            the places among them of those to leave out {1, ...}, more, seq, server, build,
--            metadata of the entries scanned ('' = none), {} if not asked for}
--
-- Rule      All of it is of one instant. Entries that changed after the first page was read are left out if ARGV 6 says
--           so: a player who moves down between two pages does not appear twice. No more than 1000 are scanned.
local ORDER, PLAYERS, LEVELS = KEYS[1], KEYS[2], KEYS[3]
local ties, want = ARGV[1], tonumber(ARGV[2])
local dense = ties == 'dense'
assert(#KEYS == 4 and #ARGV == 8)

local state = redis.call('HMGET', KEYS[4], 'size', 'seq', 'server', 'build')
local size = tonumber(state[1] or nil)
if not size then return {} end
if size == 0 then return { 0, 0, 1, 0, {}, {}, 0, tonumber(state[2]), state[3], state[4], {} } end
if redis.call('EXISTS', ORDER, PLAYERS) < 2 or (dense and redis.call('EXISTS', LEVELS) == 0) then return {} end

-- Compare byte by byte, like the sorted set; Lua's own < follows the locale.
local function after(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- How many entries are at or before (score, member), which need not exist any more.
local function through(score, member)
  local low = redis.call('ZCOUNT', ORDER, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', ORDER, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if after(redis.call('ZRANGE', ORDER, middle, middle)[1], member) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local position = tonumber(ARGV[3])
if ARGV[4] ~= '' then
  position = through(string.format('%.17g', 0 - tonumber(ARGV[4])), ARGV[5])
end

local first = position + 1
local entries, omitted, kept, scanned = {}, {}, 0, 0
local filter = ARGV[6] ~= '' and ARGV[6] == state[4]
local since = tonumber(ARGV[7])
repeat
  local chunk = redis.call('ZRANGE', ORDER, position + scanned, position + scanned + want - kept - 1, 'WITHSCORES')
  for i = 1, #chunk, 2 do
    scanned = scanned + 1
    kept = kept + 1
    entries[#entries + 1] = chunk[i]
    entries[#entries + 1] = chunk[i + 1]
    if filter then
      local row = redis.call('HGET', PLAYERS, string.sub(chunk[i], 8))
      if struct.unpack('>I6', row, 15) > since then
        kept = kept - 1
        omitted[#omitted + 1] = scanned
      end
    end
  end
until kept == want or #chunk == 0 or scanned >= 1000

local ahead = position
if ties ~= 'earliest' and scanned > 0 then
  ahead = redis.call('ZCOUNT', ORDER, '-inf', '(' .. entries[2])
  first = (dense and redis.call('ZCOUNT', LEVELS, '-inf', '(' .. entries[2]) or ahead) + 1
end
local metadata = {}
if ARGV[8] == '1' and scanned > 0 then
  local names = {}
  for i = 1, #entries, 2 do names[#names + 1] = string.sub(entries[i], 8) end
  for i, row in ipairs(redis.call('HMGET', PLAYERS, unpack(names))) do metadata[i] = string.sub(row, 21) end
end
return {
  size, position, first, ahead, entries, omitted, position + scanned < size and 1 or 0,
  tonumber(state[2]), state[3], state[4], metadata,
}
