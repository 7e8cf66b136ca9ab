-- Changes what one node has on one channel, announces to the nodes that listen what follows from it for
-- the cluster, and returns what has happened on the channel since the node last knew.
--
-- KEYS: meta, log, cache, users (user -> nodes), members (user -> user_info), due, the users of the
-- node whose part is changed, and the memory, where it is on the same server
-- ARGV: the node that asks; the node whose part is changed: the same, or one that is dead; the epoch, should
-- the channel have none yet; milliseconds that an entry is kept; PUBLISH or SPUBLISH; the topic; the version
-- of the entries' bodies; members at most; letters of FLAG; milliseconds that a departure waits; the epoch that
-- the asking node knows, or nothing; the id of the last entry that it knows; bytes of entries returned at most;
-- milliseconds after which all nodes have announced again what was forgotten; the memory that the node knows;
-- subscribers up to which every change of their number is reported, and the milliseconds in between above that;
-- milliseconds for which an entry may be written again
-- and then steps, each with its arguments:
--     STEP_SUBSCRIBERS COUNT, STEP_WATCHERS COUNT   the node has so many, of the channel or of the user
--     STEP_ADD USER INFO       a user's first connection to the node
--     STEP_REMOVE USER         a user's last connection to the node
--     STEP_ADD_REPORTED USER INFO, STEP_REMOVE_REPORTED USER   the same of one whom webhooks know of, even
--                    if it was forgotten here
--     STEP_REMOVE_PERHAPS_REPORTED USER   the same of one of whom others were to report, or of whom it was in doubt
--     STEP_WHOLE COUNT (USER INFO NEW)*   these are the node's users, and no others; if they were forgotten
--                    here, webhooks know of them, unless NEW is 1, and of all others' departures
--     STEP_FLUSH ALL           what is due is to be reported; with 1, all that the node would report later
--     STEP_ACKNOWLEDGE FIELD   what was due has been reported
-- Returns { epoch, last id, subscribers, occupied, whether the known entry is known here too,
--   { id, body }*, { refused user* }, { due field, milliseconds }*, roster or false,
--   cached event or false, its milliseconds, whether the log goes on after these entries,
--   { node, number }* the highest of each that has written of late, for an asker who knew no entry,
--   the offset of the last entry before the epoch, { due field that others may report, milliseconds }*,
--   { epoch, id }* of the last entries of logs that are gone, if what the channel is is asked for as a whole }
-- Of a log that was begun anew since the node last knew, the entries are from its beginning.
local meta, log, cache, users, members, due, at, memory_key = unpack(KEYS)
local asker, node, new_epoch, history, publish, topic, version, most_members, flags, delay, known_epoch,
  known_id, page_bytes, announced_again_after, known_memory, count_at_once, count_interval, repeated_for
  = unpack(ARGV, 1, 18)
local step = 19

local KEY_NODES, KEY_DEAD, KEY_MEMORY, KEY_NODE = '{nodes}', '{nodes}:dead', '{nodes}:memory', '{node:'
local KEY_ENDS = ':ends'
-- Fields of meta: those of one node, whose id follows, have a colon behind the letter.
local META_EPOCH, META_LAST, META_COUNT_REPORTED, META_SUBSCRIBERS = 'e', 'l', 't', 'n:'
local META_KEPT_UNTIL, META_MEMORY, META_BEGUN_AFTER, META_ENDED = 'k', 'm', 'f', 'p'
local ENTRY_EVENTS, ENTRY_CLOSE, ENTRY_ADDED, ENTRY_REMOVED = 'E', 'X', '+', '-'
local ENTRY_TOTAL, ENTRY_ONLINE, ENTRY_OFFLINE = '#', 'O', 'F'
local FLAG_PRESENCE, FLAG_USER, FLAG_COUNTED = 'p', 'u', 'c'
local FLAG_REPORTS_OCCUPANCY, FLAG_REPORTS_MEMBERS, FLAG_REPORTS_COUNTS = 'o', 'm', 's'
local FLAG_CACHED, FLAG_ROSTER, FLAG_ALL_DUE, FLAG_ONE_AT_LEAST, FLAG_NOT_SINCE = 'k', 'r', 'd', 'e', 'x'
local FLAG_DOUBTFUL, FLAG_OCCUPIED, FLAG_WAS_OCCUPIED, FLAG_NEVER_OCCUPIED = 'D', 'q', 'z', 'y'
local FLAG_PERHAPS_WAS_OCCUPIED, FLAG_GONE_BEFORE = 'w', 'g'
local STEP_SUBSCRIBERS, STEP_WATCHERS, STEP_ADD, STEP_REMOVE = 'n', 'w', '+', '-'
local STEP_ADD_REPORTED, STEP_REMOVE_REPORTED, STEP_REMOVE_PERHAPS_REPORTED = 'h', 'g', 'i'
local STEP_WHOLE, STEP_FLUSH, STEP_ACKNOWLEDGE = '=', 'f', 'a'
-- What is to be reported is in due, a field for each thing, which begins with one of these. To webhooks, at once;
-- once its time has come, or then unless a node announces that they know it; to subscribers.
local DUE_OCCUPIED, DUE_ADDED, DUE_VACATED, DUE_REMOVED, DUE_COUNT = 'o', 'a', 'V', 'R', 'N'
local DUE_VACATING, DUE_REMOVING, DUE_PERHAPS_OCCUPIED, DUE_PERHAPS_ADDED = 'v', 'r', 'p', 'b'
local DUE_PERHAPS_VACATING, DUE_PERHAPS_REMOVING = 'u', 's'
local DUE_COUNTING, DUE_COUNTED, DUE_GOING_OFFLINE = 'c', 'C', 'f'
history, delay, count_interval = tonumber(history), tonumber(delay), tonumber(count_interval)
local function flag(name)
  return string.find(flags, name, 1, true) ~= nil
end
local is_user = flag(FLAG_USER)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HGET', meta, META_EPOCH)
local epoch_before = epoch
local last = redis.call('HGET', meta, META_LAST)
if not epoch then
  -- A log may outlive its epoch: offsets go on from there, so that none is there twice.
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  epoch, last = new_epoch, newest and newest[1] or '0-0'
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
  if known_epoch ~= epoch or known_id == last then
    return false
  end
  if offset_of(known_id) > offset_of(last) then
    return true
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
  return first[1] ~= nil and offset_of(first[1][1]) <= offset_of(known_id)
    and #redis.call('XRANGE', log, known_id, known_id) == 0
end
-- The memory of all channels is as old then, which no heartbeat may have shown: too few came in between, or those
-- of others have made up for it. Under another name every node notices.
local memory = memory_key and redis.call('HGET', memory_key, 'name')
if has_gone_back() then
  epoch = new_epoch
  if memory and memory == known_memory then
    memory = new_epoch
    redis.call('HSET', memory_key, 'name', memory, 'lost', string.format('%d', now))
  end
end
-- Who was there, and what was to be reported, under another memory is out of date. All nodes announce
-- again what they have.
local known_under = redis.call('HGET', meta, META_MEMORY)
local is_out_of_date = memory and known_under and known_under ~= memory
if is_out_of_date then
  epoch = new_epoch
  local at_any = string.sub(at, 1, -1 - string.len(node))
  for _, name in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(name, 2, 2) == ':' then
      redis.call('HDEL', meta, name)
      redis.call('DEL', at_any .. string.sub(name, 3))
    end
  end
  redis.call('DEL', users, members, due)
end
local begun_after = tonumber(redis.call('HGET', meta, META_BEGUN_AFTER) or '0')
if epoch ~= epoch_before then
  begun_after = offset_of(last)
end
-- Others may not have announced again yet what was forgotten: who seems to come may have been there, and
-- who seems to be gone may be on another node.
local is_doubtful = flag(FLAG_DOUBTFUL)
if memory_key and memory ~= known_memory then
  is_doubtful = true
  -- The asker does not know that anything was lost, and may end before it does. What it announces is noted where
  -- others look for it then: Redis may have forgotten that the asker is there, and which topics it is on.
  local prefix = string.sub(memory_key, 1, -1 - string.len(KEY_MEMORY))
  redis.call('SADD', prefix .. KEY_NODE .. asker .. '}', topic)
  if not redis.call('ZSCORE', prefix .. KEY_NODES, asker) then
    redis.call('ZADD', prefix .. KEY_DEAD, now, asker)
  end
end
-- The logs before this one that were deleted as all had left: nothing was forgotten of them, and all that webhooks
-- know by a node that was on one is in due, or was reported since. Of eight epochs eight letters each: a value
-- of more than 64 bytes would make the hash several times as large.
local ended_letters, most_ended = 8, 8
local function has_ended(name)
  local ended, wanted = redis.call('HGET', meta, META_ENDED) or '', string.sub(name, 1, ended_letters)
  for from = 1, string.len(ended), ended_letters do
    if string.sub(ended, from, from + ended_letters - 1) == wanted then
      return true
    end
  end
  return false
end
local is_of_another_log = known_epoch ~= '' and known_epoch ~= epoch
local is_forgotten = is_doubtful or (is_of_another_log and not has_ended(known_epoch))
local asked_from = flag(FLAG_NOT_SINCE) and '' or known_epoch
local known_here = asked_from == epoch and known_id == last
local function append(kind, rest)
  local ms, offset = string.match(last, '^(%d+)-(%d+)$')
  local at_ms = math.max(tonumber(ms), now)
  last = string.format('%d-%d', at_ms, tonumber(offset) + 1)
  local body = version .. kind .. asker .. rest
  redis.call('XADD', log, 'MINID', '~', string.format('%d-0', at_ms - history), last, 'b', body)
  redis.call('PEXPIRE', log, history)
  redis.call(publish, topic, epoch .. ' ' .. last .. ' ' .. body)
end

-- What the node had is gone, and what it had to report was reported, before this server went back to an older state.
local is_gone_before = flag(FLAG_GONE_BEFORE)
if is_gone_before then
  local is_for_subscribers = { [DUE_COUNTING] = true, [DUE_COUNTED] = true, [DUE_GOING_OFFLINE] = true }
  local all = redis.call('HGETALL', due)
  for i = 1, #all, 2 do
    local owner = string.match(all[i + 1], '^%d+ (.*)$')
    if owner == node and not is_for_subscribers[string.sub(all[i], 1, 1)] then
      redis.call('HDEL', due, all[i])
    end
  end
end

local function is_occupied()
  for _, name in ipairs(redis.call('HKEYS', meta)) do
    if string.sub(name, 1, 2) == META_SUBSCRIBERS then
      return true
    end
  end
  return false
end
-- A field's value is "<when> <who reports it>". What comes is reported at once, what goes when it
-- is due, unless it is back by then. What is reported at once stays until that is acknowledged.
local touched = {}
local function report(name, when)
  redis.call('HSET', due, name, string.format('%d %s', when, asker))
  touched[#touched + 1] = name
end
local forgotten_delay = math.max(delay, tonumber(announced_again_after))
local function comes(going, perhaps_going, coming, perhaps, is_known)
  -- Of a departure in doubt webhooks may know no arrival: this one is reported all the same.
  redis.call('HDEL', due, perhaps_going)
  if redis.call('HDEL', due, going) == 1 or is_known then
    return
  end
  if is_doubtful then
    report(perhaps, now + forgotten_delay)
  else
    report(coming, 0)
  end
end
local function is_due(name)
  return redis.call('HEXISTS', due, name) == 1
end
-- Who came was not reported to webhooks, and need not be when it goes.
local function was_never_reported(perhaps)
  return redis.call('HDEL', due, perhaps) == 1
end
local function goes(going, wait)
  report(going, now + (is_doubtful and forgotten_delay or wait))
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
    redis.call('HDEL', due, DUE_PERHAPS_ADDED .. user)
  end
  if redis.call('SADD', at, user) == 0 then
    return
  end
  local nodes = redis.call('HINCRBY', users, user, 1)
  if nodes == 1 then
    redis.call('HSET', members, user, info)
    added[#added + 1] = field(user) .. field(info)
    if flag(FLAG_REPORTS_MEMBERS) then
      local is_reported = is_known and not is_due(DUE_REMOVED .. user)
      comes(DUE_REMOVING .. user, DUE_PERHAPS_REMOVING .. user, DUE_ADDED .. user, DUE_PERHAPS_ADDED .. user,
        is_reported)
    end
  elseif flag(FLAG_REPORTS_MEMBERS) then
    -- It was there already, and another node may still have to report it.
    touched[#touched + 1] = DUE_PERHAPS_ADDED .. user
    touched[#touched + 1] = DUE_ADDED .. user
  end
end
-- A user whose arrival was never reported need not be reported to have gone. (left_over: Redis has one of
-- whom the node does not know: an arrival that was not answered, or, of an older state of Redis, one of before. All
-- arrivals since Redis last lost anything that are still to be reported are in due.)
local is_of_this_memory = memory and memory == known_memory
local function remove(user, left_over)
  if redis.call('SREM', at, user) == 0 then
    return
  end
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
    redis.call('HDEL', members, user)
    removed[#removed + 1] = field(user)
    local is_unreported = was_never_reported(DUE_PERHAPS_ADDED .. user)
      or (left_over and (is_gone_before or was_never_reported(DUE_ADDED .. user)
        or (is_forgotten and not is_of_this_memory)))
    if flag(FLAG_REPORTS_MEMBERS) and not is_unreported then
      goes(DUE_REMOVING .. user, delay)
    end
  end
end
-- What was forgotten is reported when the others have announced what they have. (perhaps: of an arrival that is still
-- to be reported, nothing follows for webhooks yet.)
local function remove_forgotten(user, perhaps)
  if not perhaps then
    redis.call('HDEL', due, DUE_PERHAPS_ADDED .. user, DUE_PERHAPS_REMOVING .. user)
  end
  local is_there = redis.call('HEXISTS', users, user) == 1
  local is_waiting = is_due(DUE_REMOVING .. user) or is_due(DUE_REMOVED .. user)
    or (perhaps and (is_due(DUE_PERHAPS_ADDED .. user) or is_due(DUE_ADDED .. user)))
  if flag(FLAG_REPORTS_MEMBERS) and not is_there and not is_waiting then
    goes((perhaps and DUE_PERHAPS_REMOVING or DUE_REMOVING) .. user, forgotten_delay)
  end
end
local function announce_members()
  if #added > 0 then
    append(ENTRY_ADDED, table.concat(added))
    added = {}
  end
  if #removed > 0 then
    append(ENTRY_REMOVED, table.concat(removed))
    removed = {}
  end
end

local function next_argument()
  step = step + 1
  return ARGV[step - 1]
end
local counted = false
while step <= #ARGV do
  local what = next_argument()
  if what == STEP_SUBSCRIBERS or what == STEP_WATCHERS then
    local name, count = what .. ':' .. node, tonumber(next_argument())
    if count > 0 then
      counted = redis.call('HGET', meta, name) ~= tostring(count) or counted
      redis.call('HSET', meta, name, count)
    else
      counted = redis.call('HDEL', meta, name) == 1 or counted
    end
  elseif what == STEP_ADD or what == STEP_ADD_REPORTED then
    local user, info = next_argument(), next_argument()
    if #removed > 0 then
      announce_members()
    end
    local is_there = redis.call('HEXISTS', users, user) == 1
    if not is_there and redis.call('HLEN', users) >= tonumber(most_members) then
      refused[#refused + 1] = user
    else
      add(user, info, is_forgotten and what == STEP_ADD_REPORTED)
    end
  elseif what == STEP_REMOVE or what == STEP_REMOVE_REPORTED or what == STEP_REMOVE_PERHAPS_REPORTED then
    if #added > 0 then
      announce_members()
    end
    local user = next_argument()
    if redis.call('SISMEMBER', at, user) == 1 then
      remove(user)
    elseif is_forgotten and what ~= STEP_REMOVE then
      remove_forgotten(user, what == STEP_REMOVE_PERHAPS_REPORTED)
    end
  elseif what == STEP_WHOLE then
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
        remove(user, is_gone_before or asker == node)
      end
    end
    announce_members()
    for user, info in pairs(wanted) do
      add(user, info, is_forgotten and not new[user])
    end
    announce_members()
  elseif what == STEP_FLUSH then
    local everything = next_argument() == '1'
    local then_reported = {
      [DUE_VACATING] = DUE_VACATED, [DUE_REMOVING] = DUE_REMOVED, [DUE_COUNTING] = DUE_COUNTED,
      [DUE_PERHAPS_OCCUPIED] = DUE_OCCUPIED, [DUE_PERHAPS_ADDED] = DUE_ADDED,
      [DUE_PERHAPS_VACATING] = DUE_VACATED, [DUE_PERHAPS_REMOVING] = DUE_REMOVED,
    }
    local all = redis.call('HGETALL', due)
    for i = 1, #all, 2 do
      local name, kind = all[i], string.sub(all[i], 1, 1)
      local when, owner = string.match(all[i + 1], '^(%d+) (.*)$')
      -- Another node looks after what is its own, and would take what is gone for forgotten.
      local is_time = owner == asker and (everything or tonumber(when) <= now)
      if is_time and then_reported[kind] then
        redis.call('HDEL', due, name)
        report(then_reported[kind] .. string.sub(name, 2), 0)
      elseif is_time and kind == DUE_GOING_OFFLINE then
        redis.call('HDEL', due, name)
        append(ENTRY_OFFLINE, '')
      end
    end
  elseif what == STEP_ACKNOWLEDGE then
    redis.call('HDEL', due, next_argument())
  end
end
announce_members()
local occupied = is_occupied()
if is_user and occupied ~= was_occupied then
  if occupied then
    if redis.call('HDEL', due, DUE_GOING_OFFLINE) == 0 then
      append(ENTRY_ONLINE, '')
    end
  elseif delay > 0 or is_doubtful then
    goes(DUE_GOING_OFFLINE, delay)
  else
    append(ENTRY_OFFLINE, '')
  end
elseif flag(FLAG_REPORTS_OCCUPANCY) then
  local is_known = is_forgotten and (flag(FLAG_OCCUPIED) or flag(FLAG_WAS_OCCUPIED))
  if is_known then
    redis.call('HDEL', due, DUE_PERHAPS_OCCUPIED)
  end
  if occupied ~= was_occupied then
    if occupied then
      local is_reported = is_known and not is_due(DUE_VACATED)
      comes(DUE_VACATING, DUE_PERHAPS_VACATING, DUE_OCCUPIED, DUE_PERHAPS_OCCUPIED, is_reported)
    elseif not was_never_reported(DUE_PERHAPS_OCCUPIED) and not flag(FLAG_NEVER_OCCUPIED) then
      goes(DUE_VACATING, delay)
    end
  elseif is_forgotten and not occupied and not is_due(DUE_VACATING) and not is_due(DUE_VACATED) then
    local is_to_come = is_due(DUE_PERHAPS_OCCUPIED) or is_due(DUE_OCCUPIED)
    if flag(FLAG_WAS_OCCUPIED) then
      redis.call('HDEL', due, DUE_PERHAPS_VACATING)
      goes(DUE_VACATING, forgotten_delay)
    elseif flag(FLAG_PERHAPS_WAS_OCCUPIED) and not is_to_come then
      goes(DUE_PERHAPS_VACATING, forgotten_delay)
    end
  end
  if occupied and not flag(FLAG_OCCUPIED) then
    touched[#touched + 1] = DUE_PERHAPS_OCCUPIED
    touched[#touched + 1] = DUE_OCCUPIED
  end
end

local total = 0
if counted or not is_user then
  local all = redis.call('HGETALL', meta)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == META_SUBSCRIBERS then
      total = total + tonumber(all[i + 1])
    end
  end
end
-- Up to so many every change is reported, above that one in a while.
local count_is_due = flag(FLAG_COUNTED) and redis.call('HDEL', due, DUE_COUNTED) == 1
if flag(FLAG_COUNTED) and (counted or count_is_due) then
  local reported_at = tonumber(redis.call('HGET', meta, META_COUNT_REPORTED) or '0')
  -- The clock may have gone back since.
  if total <= tonumber(count_at_once) or now < reported_at or now - reported_at >= count_interval then
    if occupied then
      redis.call('HSET', meta, META_COUNT_REPORTED, now)
    end
    redis.call('HDEL', due, DUE_COUNTING)
    append(ENTRY_TOTAL, field(tostring(total)))
    if flag(FLAG_REPORTS_COUNTS) then
      report(DUE_COUNT .. total, 0)
    end
  elseif redis.call('HEXISTS', due, DUE_COUNTING) == 0 then
    report(DUE_COUNTING, reported_at + count_interval)
  end
end

-- What a dead node had to report is reported by the one that cleans up.
local orphans = asker ~= node
if orphans or flag(FLAG_ALL_DUE) then
  touched = redis.call('HKEYS', due)
end
local mine, doubted = {}, {}
local arrivals = {
  [DUE_OCCUPIED] = DUE_PERHAPS_OCCUPIED, [DUE_PERHAPS_OCCUPIED] = DUE_PERHAPS_OCCUPIED,
  [DUE_ADDED] = DUE_PERHAPS_ADDED, [DUE_PERHAPS_ADDED] = DUE_PERHAPS_ADDED,
}
-- The clock may have gone back: nothing is due later than it was ever put off to.
local latest = now + math.max(forgotten_delay, count_interval)
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
    local kind, list = string.sub(name, 1, 1), nil
    if owner == asker then
      list = mine
    else
      -- Until it is acknowledged, nobody knows whether it was reported.
      local perhaps = arrivals[kind]
      list, name = perhaps and doubted, perhaps and perhaps .. string.sub(name, 2)
    end
    if list then
      list[#list + 1] = name
      list[#list + 1] = math.max(0, tonumber(when) - now)
    end
  end
end

-- What was written last may be written again should the server die now: whoever comes has it, or is
-- not to have it. Of each node the highest number counts, however much others have written since; what one
-- look may cost is bounded.
local numbers, numbers_bytes = {}, 4 * 1024 * 1024
local function is_above(number, other)
  local longer = string.len(number) - string.len(other)
  return longer > 0 or (longer == 0 and number > other)
end
local function read_numbers()
  local since, to = string.format('%d-0', now - tonumber(repeated_for)), '+'
  local highest = {}
  while to and numbers_bytes > 0 do
    local found = redis.call('XREVRANGE', log, to, since, 'COUNT', 16)
    for _, entry in ipairs(found) do
      local body = entry[2][2]
      numbers_bytes = numbers_bytes - string.len(body)
      local kind, length = string.match(body, '^%d([' .. ENTRY_EVENTS .. ENTRY_CLOSE .. '])', 1), string.match(body, '^(%d+):', 19)
      if kind and length then
        local from = 20 + string.len(length)
        local origin, number = string.sub(body, 3, 18), string.sub(body, from, from + tonumber(length) - 1)
        if not highest[origin] or is_above(number, highest[origin]) then
          highest[origin] = number
        end
      end
    end
    to = #found == 16 and '(' .. found[16][1]
  end
  for origin, number in pairs(highest) do
    numbers[#numbers + 1] = origin
    numbers[#numbers + 1] = number
  end
end

local entries, first, more, room = {}, nil, false, tonumber(page_bytes)
-- Entries from here on, as many as there is room for, read few at a time.
local function read(from)
  while true do
    local found = redis.call('XRANGE', log, from, '+', 'COUNT', 16)
    for _, entry in ipairs(found) do
      first = first or entry[1]
      local body = entry[2][2]
      room = room - string.len(body) - 32
      if room < 0 and (#entries > 0 or not flag(FLAG_ONE_AT_LEAST)) then
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
-- A node that was given up may return, or one that was forgotten announce itself, and ask for what
-- it has missed: until then entries are kept, though nobody is known to want them.
local kept_until = tonumber(redis.call('HGET', meta, META_KEPT_UNTIL) or '0')
if orphans or (is_forgotten and not is_wanted()) then
  kept_until = now + history
end
local function note_epoch()
  local after = string.format('%d', begun_after)
  redis.call('HSET', meta, META_EPOCH, epoch, META_LAST, last, META_BEGUN_AFTER, after)
  if memory then
    redis.call('HSET', meta, META_MEMORY, memory)
  end
end
if is_wanted() then
  note_epoch()
  if kept_until > now then
    redis.call('HSET', meta, META_KEPT_UNTIL, string.format('%d', kept_until))
  else
    redis.call('HDEL', meta, META_KEPT_UNTIL)
  end
  redis.call('PERSIST', meta)
  if asked_from == epoch then
    if not known_here then
      local found = redis.call('XRANGE', log, known_id, known_id)
      known_here = #found == 1
    end
    read('(' .. known_id)
    if not known_here and first then
      -- The known entry may have expired where nothing is missing behind it.
      known_here = offset_of(first) == offset_of(known_id) + 1
    end
  elseif asked_from ~= '' then
    read('-')
  elseif not orphans then
    read_numbers()
  end
elseif was_wanted and kept_until > now then
  note_epoch()
  redis.call('HSET', meta, META_KEPT_UNTIL, string.format('%d', kept_until))
  redis.call('PEXPIRE', meta, history)
elseif was_wanted then
  -- Nobody is there any more: what is still on its way has been published. (Where nobody was there
  -- before, entries may be kept for nodes that are on their way back.)
  local is_reported = flag(FLAG_REPORTS_OCCUPANCY) or flag(FLAG_REPORTS_MEMBERS)
  local ended = is_reported and redis.call('HGET', meta, META_ENDED) or ''
  redis.call('DEL', meta, log)
  if is_reported then
    ended = string.sub(ended .. string.sub(epoch, 1, ended_letters), -ended_letters * most_ended)
    redis.call('HSET', meta, META_ENDED, ended)
    -- By then nodes that were on it have announced that they know, or were given up.
    redis.call('PEXPIRE', meta, string.format('%d', delay + 2 * tonumber(announced_again_after)))
  end
elseif epoch_before and last ~= last_before then
  note_epoch()
elseif asked_from == '' and epoch ~= epoch_before then
  -- Nothing is kept under this epoch: whoever is gone goes on by the one that it knew.
  epoch, last = known_epoch, known_id
end
local roster = false
-- As long as the log goes on, these are not asked for yet.
if flag(FLAG_PRESENCE) and not orphans and not more and (not known_here or flag(FLAG_ROSTER)) then
  roster = redis.call('HGETALL', members)
end
local cached, cached_for = false, 0
if flag(FLAG_CACHED) and not more then
  cached = redis.call('GET', cache)
  cached_for = redis.call('PTTL', cache)
end
-- As those who have written to them have handed in (beside the keys of every call, as it is seldom asked for).
local ends = {}
if flag(FLAG_ROSTER) then
  ends = redis.call('HGETALL', topic .. KEY_ENDS)
end
local is_online = occupied or redis.call('HEXISTS', due, DUE_GOING_OFFLINE) == 1
return {
  epoch, last, total, is_online and 1 or 0, known_here and 1 or 0,
  entries, refused, mine, roster, cached, cached_for, more and 1 or 0, numbers,
  begun_after, doubted, ends,
}
