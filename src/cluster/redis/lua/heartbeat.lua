-- A node is alive. Returns who is alive, who has died, and what versions they speak.
--
-- KEYS: nodes (scores: when their last heartbeat was), versions, dead (scores: since when somebody
-- cleans up after them), memory, logs (bytes of logs that each node has written and that are kept), timeouts (after
-- how many milliseconds of silence each node is dead)
-- ARGV:
--   the node
--   the version that it speaks
--   milliseconds of silence after which it is dead
--   1: the node is new
--   the memory that the node knows, or nothing
--   the heartbeats that it had counted when the node last knew
--   a name for the memory, should it be another one
--   bytes of logs that the node has written and that are kept
--   milliseconds that Redis remembers nodes without a heartbeat
--   milliseconds that a node may take to clean up after a dead one
--   dead nodes that it cleans up after at most
--   and then dead nodes that it leaves to others
-- Returns { 1 if the node is known here, nodes alive, lowest version, highest version,
--   { node to clean up after }*, memory, heartbeats, bytes of logs that all nodes have written,
--   milliseconds since it lost anything or false, the longest timeout of any node }
local nodes, versions, dead, memory, logs, timeouts = unpack(KEYS)
local node, version, timeout, new, known_name, known_beats, new_name, log_bytes, remembered_for, cleanup,
  most_dead = unpack(ARGV, 1, 11)
local first_left = 12
timeout = tonumber(timeout)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The memory counts heartbeats under a name. A name that is gone, or a count that has gone back,
-- says that the server has lost its data, or has older ones.
local name, beats = redis.call('HGET', memory, 'name'), redis.call('HGET', memory, 'beats')
local lost = redis.call('HGET', memory, 'lost')
local has_gone_back = name and name == known_name and tonumber(beats) < tonumber(known_beats)
if not name or has_gone_back then
  name = new_name
  redis.call('HSET', memory, 'name', name)
end
-- A memory that is merely new was known to nobody before.
if known_name ~= '' and (has_gone_back or (name ~= known_name and not lost)) then
  lost = now
  redis.call('HSET', memory, 'lost', string.format('%d', lost))
end
beats = redis.call('HINCRBY', memory, 'beats', 1)
redis.call('PEXPIRE', memory, remembered_for)

-- The clock may have gone back. No heartbeat came, and nobody is cleaned up after, since a time to come: such a
-- node would be believed alive until the clock is there again.
for _, list in ipairs({ nodes, dead }) do
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', list, '(' .. string.format('%d', now), '+inf')) do
    redis.call('ZADD', list, now, other)
  end
end

-- If no heartbeat came for a while it was this server that was away, and nobody is to blame.
local newest = redis.call('ZREVRANGE', nodes, 0, 0, 'WITHSCORES')
if newest[2] and now - tonumber(newest[2]) > timeout / 2 then
  local lost = now - tonumber(newest[2])
  local all = redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) > 0 then
      redis.call('ZADD', nodes, tonumber(all[i + 1]) + lost, all[i])
    end
  end
end

local is_known = redis.call('ZSCORE', nodes, node) ~= false
if is_known or new == '1' then
  redis.call('ZADD', nodes, now, node)
  redis.call('HSET', versions, node, version)
  redis.call('HSET', logs, node, log_bytes)
  redis.call('PEXPIRE', logs, remembered_for)
  redis.call('HSET', timeouts, node, timeout)
  redis.call('PEXPIRE', timeouts, remembered_for)
end
-- A node has as much time as itself says, or as whoever looks at it has, if that is more: who makes a heartbeat seldom
-- cannot tell a node that is dead from a server that was away. (Nodes of the version before do not say.)
for _, silent in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now - timeout)) do
  local own = tonumber(redis.call('HGET', timeouts, silent) or timeout)
  if own <= timeout or tonumber(redis.call('ZSCORE', nodes, silent)) <= now - own then
    redis.call('ZREM', nodes, silent)
    redis.call('HDEL', versions, silent)
    redis.call('HDEL', timeouts, silent)
    redis.call('ZADD', dead, 0, silent)
  end
end
-- Who cleans up and is not done after a while may be dead itself.
local mine, is_left = {}, {}
for i = first_left, #ARGV do
  is_left[ARGV[i]] = true
end
local most = tonumber(most_dead) + #ARGV - first_left + 1
for _, silent in ipairs(redis.call('ZRANGEBYSCORE', dead, '-inf', now - tonumber(cleanup), 'LIMIT', 0, most)) do
  if #mine < tonumber(most_dead) and not is_left[silent] then
    mine[#mine + 1] = silent
    redis.call('ZADD', dead, now, silent)
  end
end
local lowest, highest = version, version
for _, other in ipairs(redis.call('HVALS', versions)) do
  if tonumber(other) < tonumber(lowest) then
    lowest = other
  end
  if tonumber(other) > tonumber(highest) then
    highest = other
  end
end
local logged, by_node = 0, redis.call('HGETALL', logs)
for i = 1, #by_node, 2 do
  if redis.call('ZSCORE', nodes, by_node[i]) then
    logged = logged + tonumber(by_node[i + 1])
  else
    redis.call('HDEL', logs, by_node[i])
  end
end
-- Nodes of the version before give up others, and leave this behind.
local longest, all_timeouts = timeout, redis.call('HGETALL', timeouts)
for i = 1, #all_timeouts, 2 do
  if redis.call('ZSCORE', nodes, all_timeouts[i]) then
    longest = math.max(longest, tonumber(all_timeouts[i + 1]))
  else
    redis.call('HDEL', timeouts, all_timeouts[i])
  end
end
return { is_known and 1 or 0, redis.call('ZCARD', nodes), tonumber(lowest), tonumber(highest), mine,
  name, beats, logged, lost and math.max(0, now - tonumber(lost)), longest }
