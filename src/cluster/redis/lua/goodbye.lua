-- A node goes. What it, or a dead one, still has to report is left to the others; if there are none, it
-- stays to do so itself.
--
-- KEYS: nodes, versions, dead, memory, logs, timeouts, and the nodes that are gone, where they are remembered
-- ARGV: the node, 1: it has something to leave, milliseconds within which others must have made a heartbeat, or
--   half their own timeout, if that is more, milliseconds that nodes are remembered which are gone
-- Returns { 1 } if the node has gone; { 0, dead node* } if nobody else is there.
local nodes, versions, dead, memory, logs, timeouts, gone = unpack(KEYS)
local node, leaves, alive_within, remembered_for = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local others, all = 0, redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local half = tonumber(redis.call('HGET', timeouts, all[i]) or '0') / 2
  local is_alive = tonumber(all[i + 1]) >= now - math.max(tonumber(alive_within), half)
  if all[i] ~= node and is_alive then
    others = others + 1
  end
end
if others == 0 and (leaves == '1' or redis.call('ZCARD', dead) > 0) then
  return { 0, unpack(redis.call('ZRANGE', dead, 0, 99)) }
end
if leaves == '1' then
  redis.call('ZADD', dead, 0, node)
elseif gone then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', now - tonumber(remembered_for))) do
    redis.call('ZREM', gone, other)
  end
  redis.call('ZADD', gone, now, node)
  redis.call('PEXPIRE', gone, remembered_for)
end
redis.call('ZREM', nodes, node)
redis.call('HDEL', versions, node)
redis.call('HDEL', timeouts, node)
if redis.call('ZCARD', nodes) == 0 and redis.call('ZCARD', dead) == 0 then
  redis.call('DEL', memory, logs, timeouts)
end
return { 1 }
