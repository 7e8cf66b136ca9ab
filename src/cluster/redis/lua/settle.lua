-- Gives an idempotency key back, or remembers the answer to its publish.
--
-- KEYS: the key
-- ARGV: who asked for it, the answer or nothing, milliseconds that it is remembered
local key = unpack(KEYS)
local claimant, answer, lasts = unpack(ARGV)
local mine = redis.call('GET', key) == '?' .. claimant
if answer ~= '' then
  redis.call('SET', key, '=' .. answer, 'PX', lasts)
elseif mine then
  redis.call('DEL', key)
end
return 1
