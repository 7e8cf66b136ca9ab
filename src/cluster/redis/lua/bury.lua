-- A node is gone, and nothing of it is left. In a Redis Cluster it is remembered for a while: a server may go back to
-- what it had before.
--
-- KEYS: dead, gone (scores: since when they are)
-- ARGV: the node, milliseconds that it is remembered
local dead, gone = unpack(KEYS)
local node, remembered_for = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', dead, node)
-- The clock may have gone back: nobody is gone since a time to come.
for _, other in ipairs(redis.call('ZRANGEBYSCORE', gone, '(' .. string.format('%d', now), '+inf')) do
  redis.call('ZADD', gone, now, other)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', now - tonumber(remembered_for))) do
  redis.call('ZREM', gone, other)
end
if not redis.call('ZSCORE', gone, node) then
  redis.call('ZADD', gone, now, node)
end
redis.call('PEXPIRE', gone, remembered_for)
return 1
