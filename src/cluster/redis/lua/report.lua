-- What is known about a channel.
--
-- KEYS: meta, users, cache
-- ARGV: 1: the cached event is asked for
-- Returns { subscribers, users, cached event or false, its milliseconds }
local meta, users, cache = unpack(KEYS)
local with_cached = unpack(ARGV)
local META_SUBSCRIBERS = 'n:'
local total = 0
local all = redis.call('HGETALL', meta)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == META_SUBSCRIBERS then
    total = total + tonumber(all[i + 1])
  end
end
local cached, cached_for = false, 0
if with_cached == '1' then
  cached = redis.call('GET', cache)
  cached_for = redis.call('PTTL', cache)
end
return { total, redis.call('HLEN', users), cached, cached_for }
