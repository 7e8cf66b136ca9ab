-- Asks for an idempotency key.
--
-- KEYS: the key
-- ARGV: 1 who asks, 2 milliseconds that a claim lasts
-- Returns { 1 } if it is the asker's, { 2 } if somebody else publishes under it, { 3, answer } if
-- that is done.
local value = redis.call('GET', KEYS[1])
if not value or value == '?' .. ARGV[1] then
  redis.call('SET', KEYS[1], '?' .. ARGV[1], 'PX', ARGV[2])
  return { 1 }
end
-- The clock may have gone back: nothing is remembered for longer than a claim lasts.
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if string.sub(value, 1, 1) == '?' then
  return { 2 }
end
return { 3, string.sub(value, 2) }
