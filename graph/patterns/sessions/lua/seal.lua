-- Make sure that a revocation is still in force, by a write that can be waited for until it is on disk.
--
-- KEYS  1  the user's epoch
-- ARGV  1  the epoch that the revocation gave
--       2  lifetime of the epoch (ms)
-- Result  1, or 0: the server has lost the revocation (it crashed and came back without it), so revoke again
-- Rule  The epoch and what was revoked with it are one script, hence one transaction of the append-only file: if one is
--       there, so is the other. This write comes after it, so once it is on disk, the revocation is too.
if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
