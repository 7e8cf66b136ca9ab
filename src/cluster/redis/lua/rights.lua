-- Finds out whether the user may do all that the nodes and their scripts do, before anything depends on it.
--
-- ARGV: what every key and topic begins with, 1: the server belongs to a Redis Cluster
-- Returns what the user lacks: commands as an ACL grants them, ~ for keys, & for topics.
--
-- Redis before 7 cannot be asked what a user may do. There it is tried, on a key of which nothing is left.
local prefix, cluster = unpack(ARGV)
local is_cluster = cluster == '1'
local key, other, topic = prefix .. '{probe}', prefix .. 'key:{probe}', prefix .. '{probe}'
local attempts = {
  { 'PING' }, { 'TIME' }, { 'DEL', key },
  { 'SET', key, '', 'PX', 1000 }, { 'GET', key }, { 'GETRANGE', key, 0, 1 }, { 'PTTL', key },
  { 'DEL', key },
  { 'SET', other, '', 'PX', 1000 }, { 'GET', other }, { 'DEL', other },
  { 'HSET', key, 'a', 1 }, { 'PEXPIRE', key, 1000 }, { 'HGET', key, 'a' }, { 'HMGET', key, 'a' },
  { 'HINCRBY', key, 'a', 1 }, { 'HKEYS', key }, { 'HVALS', key }, { 'HLEN', key },
  { 'HEXISTS', key, 'a' }, { 'HGETALL', key }, { 'PERSIST', key }, { 'HDEL', key, 'a' },
  { 'SADD', key, 'a' }, { 'SISMEMBER', key, 'a' }, { 'SMEMBERS', key }, { 'SSCAN', key, 0 },
  { 'SREM', key, 'a' },
  { 'ZADD', key, 1, 'a' }, { 'ZSCORE', key, 'a' }, { 'ZCARD', key }, { 'ZRANGE', key, 0, -1 },
  { 'ZREVRANGE', key, 0, -1 }, { 'ZRANGEBYSCORE', key, '-inf', '+inf' }, { 'ZREM', key, 'a' },
  { 'XADD', key, '*', 'a', 'b' }, { 'XRANGE', key, '-', '+' }, { 'XREVRANGE', key, '+', '-' },
  { 'XTRIM', key, 'MAXLEN', 1 }, { 'XLEN', key }, { 'DEL', key },
}
local topics = {
  { 'PUBLISH', topic, '' }, { 'SUBSCRIBE', topic }, { 'UNSUBSCRIBE', topic }, { 'PUBSUB', 'NUMSUB', topic },
}
if is_cluster then
  topics = {
    { 'SPUBLISH', topic, '' }, { 'SSUBSCRIBE', topic }, { 'SUNSUBSCRIBE', topic },
    { 'PUBSUB', 'SHARDNUMSUB', topic }, { 'CLUSTER', 'SLOTS' },
  }
end
for _, attempt in ipairs(topics) do
  attempts[#attempts + 1] = attempt
end

local function command_of(attempt)
  local name = attempt[1]
  if name == 'PUBSUB' or name == 'CLUSTER' then
    name = name .. '|' .. attempt[2]
  end
  return '+' .. string.lower(name)
end
-- What stands in the way of a command; nothing if it may be run, or fails for another reason.
local function lack_of(attempt)
  if redis.acl_check_cmd and redis.acl_check_cmd(unpack(attempt)) then
    return nil
  end
  local answer = redis.pcall(unpack(attempt))
  local refusal = type(answer) == 'table' and answer.err or ''
  if string.find(refusal, 'run th', 1, true) then
    return command_of(attempt)
  elseif string.find(refusal, 'access .*key') then
    return '~'
  elseif string.find(refusal, 'channel', 1, true) then
    return '&'
  elseif redis.acl_check_cmd then
    -- No script may run it.
    return command_of(attempt)
  end
end

local lacks, is_known = {}, {}
local function note(lack)
  if lack and not is_known[lack] then
    is_known[lack] = true
    lacks[#lacks + 1] = lack
  end
end
for _, attempt in ipairs(attempts) do
  local lack = lack_of(attempt)
  note(lack)
  if (lack == '+subscribe' or lack == '+ssubscribe') and lack_of(topics[1]) then
    -- It may as well be the topics: where nothing may be published, that cannot be told apart.
    note('&')
  end
end
return lacks
