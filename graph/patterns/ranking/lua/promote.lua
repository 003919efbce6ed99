-- Replace the index by its successor.
--
-- KEYS 1-4  the index   5-8  its successor (layout: submit.lua)
-- ARGV 1    the builder's token
--      2    1 = dense ties
--      3    version up to which all rows are included
-- Result    1; 0 if the successor does not belong to this builder any more, or is not complete
--
-- Rule      Readers see the old index or the new one. A successor that lost a key is never put in place.
assert(#KEYS == 8 and #ARGV == 3)
local state = redis.call('HMGET', KEYS[8], 'build', 'size')
if state[1] ~= ARGV[1] then return 0 end
local keys = redis.call('EXISTS', KEYS[5], KEYS[6], ARGV[2] == '1' and KEYS[7] or KEYS[8])
if state[2] ~= '0' and keys < 3 then
  redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
for i = 5, 8 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RENAME', KEYS[i], KEYS[i - 4])
    redis.call('PERSIST', KEYS[i - 4])
  end
end
redis.call('HSET', KEYS[4], 'through', ARGV[3], 'server', string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '')
return 1
