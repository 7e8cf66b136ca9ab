-- A node goes. What it still had to tell is left to the others, if there are any.
--
-- KEYS: nodes, versions, dead
-- ARGV: 1 the node, 2 1: it leaves something to the others
-- Returns 1 if others are alive.
local nodes, versions, dead = KEYS[1], KEYS[2], KEYS[3]
redis.call('ZREM', nodes, ARGV[1])
redis.call('HDEL', versions, ARGV[1])
if ARGV[2] == '1' then
  redis.call('ZADD', dead, 0, ARGV[1])
end
return redis.call('ZCARD', nodes) > 0 and 1 or 0
