-- Redis has forgotten something: a node hands in where the last entries stood that it has written to a channel's logs.
-- Whoever was away finds out by that how many there are that nobody can read any more.
--
-- KEYS: ends (epochs; ids of the last entries)
-- ARGV: milliseconds that it is kept
--   and then epochs, each with the id of an entry
local ends = unpack(KEYS)
local kept_for = unpack(ARGV, 1, 1)
local function offset_of(id)
  return tonumber(string.match(id, '-(%d+)$'))
end
for i = 2, #ARGV, 2 do
  local epoch, id = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', ends, epoch)
  if not known or offset_of(known) < offset_of(id) then
    redis.call('HSET', ends, epoch, id)
  end
end
redis.call('PEXPIRE', ends, kept_for)
return 1
