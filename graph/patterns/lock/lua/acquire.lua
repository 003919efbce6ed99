-- Take a lock that is free, or renew it for the token that holds it.
--
-- KEYS[1]   the lock: '<token>:<fence>' while it is held
-- KEYS[2]   the last fence given out
-- ARGV[1]   token of this acquisition
-- ARGV[2]   time to live, milliseconds
-- ARGV[3]   time to live of the last fence, milliseconds
--
-- Result    {1, fence} if the token holds the lock now, {0, milliseconds until it expires} if another one does
--
-- Rule      A fence is greater than every fence before it: one more than the last, and at least the server's clock in
--           microseconds, so that losing KEYS[2] with the server's data cannot make it go back.
--           Idempotent: the same token gets the same fence again.
local held = redis.call('GET', KEYS[1])
if held then
  local token, fence = string.match(held, '^(.*):(%d+)$')
  if token ~= ARGV[1] then
    return {0, redis.call('PTTL', KEYS[1])}
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, tonumber(fence)}
end

local clock = redis.call('TIME')
local fence = math.max(clock[1] * 1000000 + clock[2], tonumber(redis.call('GET', KEYS[2]) or 0) + 1)
local digits = string.format('%.0f', fence)
redis.call('SET', KEYS[2], digits, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. digits, 'PX', ARGV[2])
return {1, fence}
