-- Drops what a log has from before a time, as all logs together are too large.
--
-- KEYS: meta, log
-- ARGV: milliseconds since that time
-- Returns how many entries were dropped.
local meta, log = unpack(KEYS)
local age = unpack(ARGV)
local META_LAST = 'l'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = string.match(redis.call('HGET', meta, META_LAST) or '', '^(%d+)-')
if last and tonumber(last) > now then
  -- The clock has gone back: ids do not tell how old entries are, and the older half goes.
  return redis.call('XTRIM', log, 'MAXLEN', '~', math.floor(redis.call('XLEN', log) / 2))
end
return redis.call('XTRIM', log, 'MINID', '~', string.format('%d-0', now - tonumber(age)))
