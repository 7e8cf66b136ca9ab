-- Gives an idempotency key back, or remembers the answer to its publish.
--
-- KEYS: the key
-- ARGV: 1 who asked for it, 2 the answer or nothing, 3 milliseconds that it is remembered
local mine = redis.call('GET', KEYS[1]) == '?' .. ARGV[1]
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], '=' .. ARGV[2], 'PX', ARGV[3])
elseif mine then
  redis.call('DEL', KEYS[1])
end
return 1
