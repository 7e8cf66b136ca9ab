-- Changes what one node has on one channel, tells the nodes that listen what follows from it for
-- the cluster, and returns what has happened on the channel since the node last knew.
--
-- KEYS: meta, log, cache, users (user -> nodes), members (user -> user_info), due, the users of the
-- node whose part is changed, and the memory, where it is on the same server
-- ARGV:
--   1 the node that asks
--   2 the node whose part is changed: the same, or one that is dead
--   3 the epoch, should the channel have none yet
--   4 milliseconds that an entry is kept
--   5 PUBLISH or SPUBLISH
--   6 the topic
--   7 the version of the entries' bodies
--   8 members at most
--   9 flags: p presence channel, u a user, c counts are told to subscribers; o, m, s webhooks want
--     to know who occupies and vacates, of members, of counts; k the cached event is asked for, r
--     the roster in any case, d all that the node has to tell, e one entry is returned however
--     large it is; x nothing is asked for that has happened since; D nodes may not have told again
--     yet what was forgotten; webhooks know that the node q has occupied, z had occupied the
--     channel, y knows nothing of that and vacates it without a word
--  10 milliseconds that a departure waits
--  11 the epoch that the asking node knows, or nothing
--  12 the id of the last entry that it knows
--  13 bytes of entries returned at most
--  14 milliseconds after which all nodes have told again what was forgotten
--  15 the memory that the node knows
--  16.. steps, each with its arguments:
--     n COUNT        the node has so many subscribers; 0: it is not on the channel
--     w COUNT        the same of those who watch a user
--     + USER INFO    a user's first connection to the node
--     - USER         a user's last connection to the node
--     g USER         the same of one whom webhooks know of, even if it was forgotten here
--     = COUNT (USER INFO NEW)*   these are the node's users, and no others; if they were forgotten
--                    here, webhooks know of them, unless NEW is 1, and of all others' departures
--     f ALL          what is due is to be told; with 1, all that the node would tell later
--     a FIELD        what was to be told has been told
-- Returns { epoch, last id, subscribers, occupied, whether the known entry is known here too,
--   { id, body }*, { refused user* }, { due field, milliseconds }*, roster or false,
--   cached event or false, its milliseconds, whether the log goes on after these entries,
--   { node, number }* of what was written last, for an asker who knew no entry,
--   the offset of the last entry before the epoch }
-- Of a log that was begun anew since the node last knew, the entries are from its beginning.
local meta, log, cache, users, members, due, at =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local asker, node, version = ARGV[1], ARGV[2], ARGV[7]
local history = tonumber(ARGV[4])
local function flag(name)
  return string.find(ARGV[9], name, 1, true) ~= nil
end
local is_user = flag('u')
local delay = tonumber(ARGV[10])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HGET', meta, 'e')
local epoch_before = epoch
local last = redis.call('HGET', meta, 'l')
if not epoch then
  -- A log may outlive its epoch: offsets go on from there, so that none is there twice.
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  epoch, last = ARGV[3], newest and newest[1] or '0-0'
end
local last_before = last
local function field(text)
  return string.len(text) .. ':' .. text
end
local function offset_of(id)
  return tonumber(string.match(id, '-(%d+)$'))
end
-- A log that does not have what a node knows of it, and should, is an older state of itself: whoever
-- knows more of it would take what follows for old.
local function has_gone_back()
  if ARGV[11] ~= epoch or ARGV[12] == last then
    return false
  end
  if offset_of(ARGV[12]) > offset_of(last) then
    return true
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
  return first[1] ~= nil and offset_of(first[1][1]) <= offset_of(ARGV[12])
    and #redis.call('XRANGE', log, ARGV[12], ARGV[12]) == 0
end
if has_gone_back() then
  epoch = ARGV[3]
end
-- Who was there, and what was to be told, under another memory is out of date. All nodes tell again
-- what they have.
local memory = KEYS[8] and redis.call('HGET', KEYS[8], 'name')
local known_under = redis.call('HGET', meta, 'm')
local is_out_of_date = memory and known_under and known_under ~= memory
if is_out_of_date then
  epoch = ARGV[3]
  local at_any = string.sub(at, 1, -1 - string.len(node))
  for _, name in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(name, 2, 2) == ':' then
      redis.call('HDEL', meta, name)
      redis.call('DEL', at_any .. string.sub(name, 3))
    end
  end
  redis.call('DEL', users, members, due)
end
local begun_after = tonumber(redis.call('HGET', meta, 'f') or '0')
if epoch ~= epoch_before then
  begun_after = offset_of(last)
end
-- Others may not have told again yet what was forgotten: who seems to come may have been there, and
-- who seems to be gone may be on another node.
local is_doubtful = flag('D')
if KEYS[8] and memory ~= ARGV[15] then
  is_doubtful = true
  -- The asker does not know that anything was lost, and may end before it does. What it tells is noted where
  -- others look for it then: Redis may have forgotten that the asker is there, and which topics it is on.
  local prefix = string.sub(KEYS[8], 1, -1 - string.len('{nodes}:memory'))
  redis.call('SADD', prefix .. '{node:' .. asker .. '}', ARGV[6])
  if not redis.call('ZSCORE', prefix .. '{nodes}', asker) then
    redis.call('ZADD', prefix .. '{nodes}:dead', now, asker)
  end
end
local is_forgotten = is_doubtful or (ARGV[11] ~= '' and ARGV[11] ~= epoch)
local asked_from = flag('x') and '' or ARGV[11]
local known_here = asked_from == epoch and ARGV[12] == last
local function append(kind, rest)
  local ms, offset = string.match(last, '^(%d+)-(%d+)$')
  local at_ms = math.max(tonumber(ms), now)
  last = string.format('%d-%d', at_ms, tonumber(offset) + 1)
  local body = version .. kind .. asker .. rest
  redis.call('XADD', log, 'MINID', '~', string.format('%d-0', at_ms - history), last, 'b', body)
  redis.call('PEXPIRE', log, history)
  redis.call(ARGV[5], ARGV[6], epoch .. ' ' .. last .. ' ' .. body)
end

local function is_occupied()
  for _, name in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(name, 1, 2) == 'n:' then
      return true
    end
  end
  return false
end
-- What is to be told is in due, a field for each thing:
--   o occupied   v vacated, once its time has come   V vacated, now
--   aUSER added   rUSER removed, once its time has come   RUSER removed, now
--   p occupied, bUSER added, once its time has come, unless a node says that webhooks know it
--   c the count, once its time has come   C now, to subscribers   NCOUNT now, to webhooks
--   f a user is offline, once its time has come
-- A field's value is "<when> <who tells it>". What comes is told at once, what goes when it is
-- due, unless it is back by then. What is told at once stays until it was told.
local touched = {}
local function tell(name, when)
  redis.call('HSET', due, name, string.format('%d %s', when, asker))
  touched[#touched + 1] = name
end
local forgotten_delay = math.max(delay, tonumber(ARGV[14]))
local function comes(going, coming, perhaps, is_known)
  if redis.call('HDEL', due, going) == 1 or is_known then
    return
  end
  if is_doubtful then
    tell(perhaps, now + forgotten_delay)
  else
    tell(coming, 0)
  end
end
local function is_due(name)
  return redis.call('HEXISTS', due, name) == 1
end
-- Webhooks were not told of who came, and need not be told of who goes.
local function was_never_told(perhaps)
  return redis.call('HDEL', due, perhaps) == 1
end
local function goes(going, wait)
  tell(going, now + (is_doubtful and forgotten_delay or wait))
end

local function is_wanted()
  for _, name in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(name, 2, 2) == ':' then
      return true
    end
  end
  return false
end
local was_wanted, was_occupied = is_out_of_date or is_wanted(), is_occupied()
local added, removed, refused = {}, {}, {}
local function add(user, info, is_known)
  if is_known then
    redis.call('HDEL', due, 'b' .. user)
  end
  if redis.call('SADD', at, user) == 0 then
    return
  end
  local nodes = redis.call('HINCRBY', users, user, 1)
  if nodes == 1 then
    redis.call('HSET', members, user, info)
    added[#added + 1] = field(user) .. field(info)
    if flag('m') then
      comes('r' .. user, 'a' .. user, 'b' .. user, is_known and not is_due('R' .. user))
    end
  end
end
-- A user whose arrival was never told need not be told to have gone. (left_over: Redis has one of
-- whom the node does not know: an arrival that was not answered.)
local function remove(user, left_over)
  if redis.call('SREM', at, user) == 0 then
    return
  end
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
    redis.call('HDEL', members, user)
    removed[#removed + 1] = field(user)
    local is_untold = was_never_told('b' .. user)
      or (left_over and (was_never_told('a' .. user) or is_forgotten))
    if flag('m') and not is_untold then
      goes('r' .. user, delay)
    end
  end
end
-- What was forgotten is told of when the others have told what they have.
local function remove_forgotten(user)
  redis.call('HDEL', due, 'b' .. user)
  local is_there = redis.call('HEXISTS', users, user) == 1
  if flag('m') and not is_there and not is_due('r' .. user) and not is_due('R' .. user) then
    goes('r' .. user, forgotten_delay)
  end
end
local function tell_members()
  if #added > 0 then
    append('+', table.concat(added))
    added = {}
  end
  if #removed > 0 then
    append('-', table.concat(removed))
    removed = {}
  end
end

local step = 16
local function next_argument()
  step = step + 1
  return ARGV[step - 1]
end
local counted = false
while step <= #ARGV do
  local what = next_argument()
  if what == 'n' or what == 'w' then
    local name, count = what .. ':' .. node, tonumber(next_argument())
    if count > 0 then
      counted = redis.call('HGET', meta, name) ~= tostring(count) or counted
      redis.call('HSET', meta, name, count)
    else
      counted = redis.call('HDEL', meta, name) == 1 or counted
    end
  elseif what == '+' then
    local user, info = next_argument(), next_argument()
    if #removed > 0 then
      tell_members()
    end
    local is_there = redis.call('HEXISTS', users, user) == 1
    if not is_there and redis.call('HLEN', users) >= tonumber(ARGV[8]) then
      refused[#refused + 1] = user
    else
      add(user, info)
    end
  elseif what == '-' or what == 'g' then
    if #added > 0 then
      tell_members()
    end
    local user = next_argument()
    if redis.call('SISMEMBER', at, user) == 1 then
      remove(user)
    elseif is_forgotten and what == 'g' then
      remove_forgotten(user)
    end
  elseif what == '=' then
    local count, wanted, new = tonumber(next_argument()), {}, {}
    for _ = 1, count do
      local user, info = next_argument(), next_argument()
      wanted[user] = info
      new[user] = next_argument() == '1'
    end
    for _, user in ipairs(redis.call('SMEMBERS', at)) do
      if wanted[user] then
        wanted[user] = nil
      else
        remove(user, asker == node)
      end
    end
    tell_members()
    for user, info in pairs(wanted) do
      add(user, info, is_forgotten and not new[user])
    end
    tell_members()
  elseif what == 'f' then
    local everything = next_argument() == '1'
    local all = redis.call('HGETALL', due)
    for i = 1, #all, 2 do
      local name, kind = all[i], string.sub(all[i], 1, 1)
      local when, owner = string.match(all[i + 1], '^(%d+) (.*)$')
      local is_time = tonumber(when) <= now or (everything and owner == asker)
      if is_time and (kind == 'r' or kind == 'v' or kind == 'c') then
        redis.call('HDEL', due, name)
        tell(string.upper(kind) .. string.sub(name, 2), 0)
      elseif is_time and (kind == 'p' or kind == 'b') then
        redis.call('HDEL', due, name)
        tell((kind == 'p' and 'o' or 'a') .. string.sub(name, 2), 0)
      elseif is_time and kind == 'f' then
        redis.call('HDEL', due, name)
        append('F', '')
      end
    end
  elseif what == 'a' then
    redis.call('HDEL', due, next_argument())
  end
end
tell_members()

local occupied = is_occupied()
if is_user and occupied ~= was_occupied then
  if occupied then
    if redis.call('HDEL', due, 'f') == 0 then
      append('O', '')
    end
  elseif delay > 0 or is_doubtful then
    goes('f', delay)
  else
    append('F', '')
  end
elseif flag('o') then
  local is_known = is_forgotten and (flag('q') or flag('z'))
  if is_known then
    redis.call('HDEL', due, 'p')
  end
  if occupied ~= was_occupied then
    if occupied then
      comes('v', 'o', 'p', is_known and not is_due('V'))
    elseif not was_never_told('p') and not flag('y') then
      goes('v', delay)
    end
  elseif is_known and flag('z') and not occupied and not is_due('v') and not is_due('V') then
    goes('v', forgotten_delay)
  end
end

local total = 0
if counted or not is_user then
  local all = redis.call('HGETALL', meta)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'n:' then
      total = total + tonumber(all[i + 1])
    end
  end
end
-- Up to 100 every change is told, above that one in five seconds.
local count_is_due = flag('c') and redis.call('HDEL', due, 'C') == 1
if flag('c') and (counted or count_is_due) then
  local told = tonumber(redis.call('HGET', meta, 't') or '0')
  -- The clock may have gone back since.
  if total <= 100 or now < told or now - told >= 5000 then
    if occupied then
      redis.call('HSET', meta, 't', now)
    end
    redis.call('HDEL', due, 'c')
    append('#', field(tostring(total)))
    if flag('s') then
      tell('N' .. total, 0)
    end
  elseif redis.call('HEXISTS', due, 'c') == 0 then
    tell('c', told + 5000)
  end
end

-- What a dead node had to tell is told by the one that cleans up.
local orphans = asker ~= node
if orphans or flag('d') then
  touched = redis.call('HKEYS', due)
end
local mine = {}
-- The clock may have gone back: nothing is due later than it was ever put off to.
local latest = now + math.max(forgotten_delay, 5000)
for _, name in ipairs(touched) do
  local value = redis.call('HGET', due, name)
  if value then
    local when, owner = string.match(value, '^(%d+) (.*)$')
    if tonumber(when) > latest then
      when = string.format('%d', latest)
      redis.call('HSET', due, name, when .. ' ' .. owner)
    end
    if orphans and owner == node then
      owner = asker
      redis.call('HSET', due, name, when .. ' ' .. asker)
    end
    if owner == asker then
      mine[#mine + 1] = name
      mine[#mine + 1] = math.max(0, tonumber(when) - now)
    end
  end
end

-- What was written last may be written again should the server die now: whoever comes has it, or is
-- not to have it.
local numbers = {}
local function read_numbers()
  local since = string.format('%d-0', now - 1000)
  for _, entry in ipairs(redis.call('XREVRANGE', log, '+', since, 'COUNT', 16)) do
    local body = entry[2][2]
    local kind, length = string.match(body, '^%d([EX])', 1), string.match(body, '^(%d+):', 19)
    if kind and length then
      local from = 20 + string.len(length)
      numbers[#numbers + 1] = string.sub(body, 3, 18)
      numbers[#numbers + 1] = string.sub(body, from, from + tonumber(length) - 1)
    end
  end
end

local entries, first, more, room = {}, nil, false, tonumber(ARGV[13])
-- Entries from here on, as many as there is room for, read few at a time.
local function read(from)
  while true do
    local found = redis.call('XRANGE', log, from, '+', 'COUNT', 16)
    for _, entry in ipairs(found) do
      first = first or entry[1]
      local body = entry[2][2]
      room = room - string.len(body) - 32
      if room < 0 and (#entries > 0 or not flag('e')) then
        more = true
        return
      end
      entries[#entries + 1] = { entry[1], body }
    end
    if #found < 16 then
      return
    end
    from = '(' .. found[#found][1]
  end
end
-- A node that was given up may return, or one that was forgotten tell that it is there, and ask for what
-- it has missed: until then entries are kept, though nobody is known to want them.
local kept_until = tonumber(redis.call('HGET', meta, 'k') or '0')
if orphans or (is_forgotten and not is_wanted()) then
  kept_until = now + history
end
local function note_epoch()
  redis.call('HSET', meta, 'e', epoch, 'l', last, 'f', string.format('%d', begun_after))
  if memory then
    redis.call('HSET', meta, 'm', memory)
  end
end
if is_wanted() then
  note_epoch()
  if kept_until > now then
    redis.call('HSET', meta, 'k', string.format('%d', kept_until))
  else
    redis.call('HDEL', meta, 'k')
  end
  redis.call('PERSIST', meta)
  if asked_from == epoch then
    if not known_here then
      local found = redis.call('XRANGE', log, ARGV[12], ARGV[12])
      known_here = #found == 1
    end
    read('(' .. ARGV[12])
    if not known_here and first then
      -- The known entry may have expired where nothing is missing behind it.
      known_here = offset_of(first) == offset_of(ARGV[12]) + 1
    end
  elseif asked_from ~= '' then
    read('-')
  elseif not orphans then
    read_numbers()
  end
elseif was_wanted and kept_until > now then
  note_epoch()
  redis.call('HSET', meta, 'k', string.format('%d', kept_until))
  redis.call('PEXPIRE', meta, history)
elseif was_wanted then
  -- Nobody is there any more: what is still on its way has been published. (Where nobody was there
  -- before, entries may be kept for nodes that are on their way back.)
  redis.call('DEL', meta, log)
elseif epoch_before and last ~= last_before then
  note_epoch()
end
local roster = false
-- As long as the log goes on, these are not asked for yet.
if flag('p') and not orphans and not more and (not known_here or flag('r')) then
  roster = redis.call('HGETALL', members)
end
local cached, cached_for = false, 0
if flag('k') and not more then
  cached = redis.call('GET', cache)
  cached_for = redis.call('PTTL', cache)
end
local is_online = occupied or redis.call('HEXISTS', due, 'f') == 1
return {
  epoch, last, total, is_online and 1 or 0, known_here and 1 or 0,
  entries, refused, mine, roster, cached, cached_for, more and 1 or 0, numbers,
  begun_after,
}
