-- What is known about a channel.
--
-- KEYS: meta, users, cache
-- ARGV: 1 1: the cached event is asked for
-- Returns { subscribers, users, cached event or false, its milliseconds }
local total = 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'n:' then
    total = total + tonumber(all[i + 1])
  end
end
local cached, cached_for = false, 0
if ARGV[1] == '1' then
  cached = redis.call('GET', KEYS[3])
  cached_for = redis.call('PTTL', KEYS[3])
end
return { total, redis.call('HLEN', KEYS[2]), cached, cached_for }
