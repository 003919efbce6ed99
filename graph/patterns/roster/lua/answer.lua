-- Say that a process lives, and what it says of itself; forget those that have not been heard of for long.
--
-- KEYS  1  the roster: hash, process -> '<when (ms)> <what it says>'
-- ARGV  1  the process
--       2  what it says
--       3  how long a process stays on the roster after its last word (ms)
-- Result  1
-- Rule  No process stays for longer than that after its last word, and the key expires with the last of them.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call('HGETALL', KEYS[1])
for n = 1, #known, 2 do
  local heard = tonumber(string.match(known[n + 1], '^%d+'))
  if not heard or now - heard > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], known[n])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
