-- A node goes. What it, or a dead one, still has to tell is left to the others; if there are none, it
-- stays to do so itself.
--
-- KEYS: nodes, versions, dead, memory, logs
-- ARGV: 1 the node, 2 1: it has something to leave, 3 milliseconds within which others must have
--   been heard of
-- Returns { 1 } if the node has gone; { 0, dead node* } if nobody else is there.
local nodes, versions, dead = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local others = 0
for _, other in ipairs(redis.call('ZRANGEBYSCORE', nodes, now - tonumber(ARGV[3]), '+inf')) do
  if other ~= ARGV[1] then
    others = others + 1
  end
end
if others == 0 and (ARGV[2] == '1' or redis.call('ZCARD', dead) > 0) then
  return { 0, unpack(redis.call('ZRANGE', dead, 0, 99)) }
end
if ARGV[2] == '1' then
  redis.call('ZADD', dead, 0, ARGV[1])
end
redis.call('ZREM', nodes, ARGV[1])
redis.call('HDEL', versions, ARGV[1])
if redis.call('ZCARD', nodes) == 0 and redis.call('ZCARD', dead) == 0 then
  redis.call('DEL', KEYS[4], KEYS[5])
end
return { 1 }
