-- Publishes what one node has to publish on one channel, as one entry of the channel's log.
--
-- KEYS: meta, log, cache
-- ARGV:
--   the node
--   the epoch, should the channel have none yet
--   milliseconds that an entry is kept
--   entries that are kept at most
--   PUBLISH or SPUBLISH
--   the topic
--   the entry's body
--   what its body begins with if this may be a repetition, or nothing
--   1: the entry is kept even if no other node is known to want it
--   the event to keep as the channel's last, or nothing
--   milliseconds that it is kept
--   bytes of entries that are kept at most, about
--   1: the node itself listens to the topic
--   what the body of an entry begins with that was written after this one, if this is a repetition of what
--     was written, or nothing
-- Returns 0 if no other node wants it, or { done, n, bytes, epoch, id } of the entry. done: 1 if it was published, 2
-- if it was before, 3 if it was published because others listen, though none is known to want it: their parts
-- were forgotten. n entries were dropped before their time, and bytes of all that were dropped.
local meta, log, cache = unpack(KEYS)
local node, new_epoch, history, most_entries, publish, topic, body, head, keeps, cached, cached_for,
  log_bytes, listens, later = unpack(ARGV)
local META_EPOCH, META_LAST, META_COUNT_REPORTED, META_BYTES = 'e', 'l', 't', 'b'
local META_KEPT_UNTIL, META_MEMORY, META_BEGUN_AFTER, META_ENDED = 'k', 'm', 'f', 'p'
local META_SUBSCRIBERS, META_WATCHERS = 'n:', 'w:'
if cached ~= '' then
  redis.call('SET', cache, cached, 'PX', cached_for)
end
if head ~= '' then
  local length, from = string.len(head), '+'
  -- Where what came later is, this was, though the log may have dropped it since.
  local later_length = string.len(later)
  while from do
    local found = redis.call('XREVRANGE', log, from, '-', 'COUNT', 64)
    for _, entry in ipairs(found) do
      local written = entry[2][2]
      local is_later = later ~= '' and string.sub(written, 1, later_length) == later
      if is_later or string.sub(written, 1, length) == head then
        return { 2, 0, 0, redis.call('HGET', meta, META_EPOCH) or '', entry[1] }
      end
    end
    from = #found == 64 and '(' .. found[64][1]
  end
end
local known = redis.call('HMGET', meta, META_EPOCH, META_LAST, META_COUNT_REPORTED, META_SUBSCRIBERS .. node,
  META_WATCHERS .. node, META_BYTES, META_KEPT_UNTIL, META_MEMORY, META_BEGUN_AFTER, META_ENDED)
local others = redis.call('HLEN', meta)
for i = 1, 10 do
  if known[i] then
    others = others - 1
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Somebody who was given up may return to the channel and ask for what it has missed.
local is_kept = keeps == '1' or (known[7] and tonumber(known[7]) > now)
local done = 1
if others == 0 and not is_kept then
  -- Topics are still listened to when the server has forgotten who is on the channel.
  local command = publish == 'SPUBLISH' and 'SHARDNUMSUB' or 'NUMSUB'
  local listening = redis.pcall('PUBSUB', command, topic)
  local count = tonumber(listening[2]) or 0
  if count <= tonumber(listens) then
    return 0
  end
  done = 3
end
local epoch, last_ms, last_offset = known[1], 0, 0
if epoch then
  local ms, offset = string.match(known[2], '^(%d+)-(%d+)$')
  last_ms, last_offset = tonumber(ms), tonumber(offset)
else
  epoch = new_epoch
  -- A log may outlive its epoch: offsets go on from there, so that none is there twice.
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if newest then
    local ms, offset = string.match(newest[1], '^(%d+)-(%d+)$')
    last_ms, last_offset = tonumber(ms), tonumber(offset)
  end
  redis.call('HSET', meta, META_EPOCH, epoch, META_BEGUN_AFTER, string.format('%d', last_offset))
  redis.call('PEXPIRE', meta, history)
end
-- The clock may have gone back, and ids may not.
if last_ms > now then
  now = last_ms
end
local id = string.format('%d-%d', now, last_offset + 1)
-- Each entry says how many bytes there were up to it: so the log's size is known without reading it.
local most, bytes_before = tonumber(log_bytes), tonumber(known[6] or '0')
local bytes = bytes_before + string.len(body)
local size = string.format('%d', bytes)
redis.call('HSET', meta, META_LAST, id, META_BYTES, size)
redis.call('XADD', log, 'MINID', '~', string.format('%d-0', now - tonumber(history)), id,
  'b', body, 's', size)
-- Drops the oldest entries until the log has room; not with each entry, as they are read for it.
local function drop_oldest()
  local dropped, from = 0, '-'
  while true do
    local found = redis.call('XRANGE', log, from, '+', 'COUNT', 16)
    for _, entry in ipairs(found) do
      local up_to = entry[2][4]
      if up_to and tonumber(up_to) > bytes - most then
        if dropped > 0 then
          redis.call('XTRIM', log, 'MINID', '=', entry[1])
        end
        return dropped
      end
      dropped = dropped + 1
    end
    if #found < 16 then
      return 0
    end
    from = '(' .. found[#found][1]
  end
end
-- How many bytes there were before the first entry that the log still has.
local function bytes_gone()
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 4)) do
    if entry[2][4] then
      return tonumber(entry[2][4]) - string.len(entry[2][2])
    end
  end
  return bytes
end
local dropped, freed, part = 0, 0, most / 64
local has_many_bytes = bytes > most and math.floor(bytes / part) ~= math.floor(bytes_before / part)
local has_many_entries = (last_offset + 1) % 256 == 0
if has_many_bytes or has_many_entries then
  local gone_before = bytes_gone()
  if has_many_bytes then
    dropped = drop_oldest()
  end
  if has_many_entries then
    redis.call('XTRIM', log, 'MAXLEN', '~', most_entries)
  end
  freed = math.max(0, bytes_gone() - gone_before)
end
redis.call('PEXPIRE', log, history)
redis.call(publish, topic, epoch .. ' ' .. id .. ' ' .. body)
return { done, dropped, freed, epoch, id }
