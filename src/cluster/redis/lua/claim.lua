-- Asks for an idempotency key.
--
-- KEYS: the key
-- ARGV: who asks, milliseconds that the claim lasts, bytes that an answer may have, milliseconds that anybody's claim
-- may last
-- Returns { 1 } if it is the asker's, { 2 } if somebody else publishes under it or has left more than an
-- answer, { 3, answer } if that is done.
local key = unpack(KEYS)
local claimant, lasts, longest, most = unpack(ARGV)
local value = redis.call('GET', key)
if not value or value == '?' .. claimant then
  redis.call('SET', key, '?' .. claimant, 'PX', lasts)
  return { 1 }
end
-- The clock may have gone back: nothing is remembered for longer than a claim may last. Another's may last longer than
-- the asker's would.
if redis.call('PTTL', key) > tonumber(most) then
  redis.call('PEXPIRE', key, most)
end
if string.sub(value, 1, 1) == '?' or #value - 1 > tonumber(longest) then
  return { 2 }
end
return { 3, string.sub(value, 2) }
