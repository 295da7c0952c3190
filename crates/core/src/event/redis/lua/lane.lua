-- What the other scripts share; each is sent with this in front.
--
-- A lane (one key of one group on one topic) that has events which are taken in and not settled has a record in the hash
-- `lanes`, which is long or short.
-- Long: "fence held waiting id/attempts id/attempts ...". The first `held` rows are handed out under that fence ("0":
--   none); the other rows were handed out before and came back; `waiting` counts its events in the set `wait`, which were
--   never handed out. Such a lane has a score in the sorted set `due`: when it may be handed out, in microseconds.
-- Short: "fence", or "fence waiting": its one row was handed out for the first time, from the log, by the fetch with that
--   fence. What such lanes need besides stands once for all of them, so that an event which is handed out and
--   acknowledged costs one field: the fetch's batch.
--
-- A batch has two fields in the hash `batches`: by its fence the ids of the first and the last event of the log that the
-- fetch took in, and by its fence and '#' how many of its lanes are short still; and the end of its lease in `due`. A lane
-- of which anything else is to be said gets a long record and leaves its batch; one without lanes is gone.
--
-- An event's id is "milliseconds-number": its number counts the events of the topic.

local NO_LANE = '\0' -- no key has a NUL
local RUN = 32 -- events of one lane that are handed out at once

local function text(number)
  return string.format('%.0f', number)
end

-- The caller's clock in microseconds, or else the server's.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function number_of(id)
  return tonumber(string.match(id, '%-(%d+)$'))
end

local function keys_of(prefix, group, topic)
  local base = prefix .. ':g:' .. group .. ':' .. topic
  return {
    topic = topic,
    stream = prefix .. ':t:' .. topic,
    cursors = prefix .. ':c:' .. topic,
    lanes = base .. ':lanes',
    due = base .. ':due',
    batches = base .. ':batches',
    wait = base .. ':wait',
    kept = base .. ':kept',
    state = base .. ':state',
  }
end

-- The fence of a short record, and how many events wait behind its own; nil for a long one.
local function short(record)
  local fence, waiting = string.match(record, '^(%d+) ?(%d*)$')
  if fence then return fence, tonumber(waiting) or 0 end
end

-- The record of a lane behind which more events wait.
local function with_waiting(record, more)
  local fence, before = short(record)
  if fence then return fence .. ' ' .. (before + more) end
  local head, waiting, rest = string.match(record, '^(%d+ %d+ )(%d+)(.*)$')
  return head .. (tonumber(waiting) + more) .. rest
end

-- A lane by its long record.
local function parse(record)
  local fence, held, waiting, rest = string.match(record, '^(%d+) (%d+) (%d+)(.*)$')
  local rows = {}
  for id, attempts in string.gmatch(rest, ' (%d+%-%d+)/(%d+)') do
    rows[#rows + 1] = { id = id, attempts = tonumber(attempts) }
  end
  return { fence = fence, held = tonumber(held), waiting = tonumber(waiting), rows = rows }
end

local function record_of(lane)
  local parts = { lane.fence, lane.held, lane.waiting }
  for _, row in ipairs(lane.rows) do
    parts[#parts + 1] = row.id .. '/' .. row.attempts
  end
  return table.concat(parts, ' ')
end

-- The member of `wait`: sorts by key, then by number.
local function waiting_member(key, id)
  local ms, number = string.match(id, '^(%d+)%-(%d+)$')
  return key .. '\0' .. string.rep('0', 16 - #number) .. number .. ' ' .. ms
end

local function waiting_id(member, key)
  local number, ms = string.match(string.sub(member, #key + 2), '^0*(%d+) (%d+)$')
  return ms .. '-' .. number
end

local function append(list, one, other)
  local at = #list
  list[at + 1], list[at + 2] = one, other
end

-- Notes up to when the clock was seen to run; whatever sets a moment in `due` calls it.
local function saw(keys, now)
  redis.call('HSET', keys.state, 'seen', text(now))
end

-- Calls a command with any number of arguments, an even number of them at a time.
local function many(command, key, arguments)
  for from = 1, #arguments, 2000 do
    redis.call(command, key, unpack(arguments, from, math.min(from + 1999, #arguments)))
  end
end

-- Reads fields of a hash; a missing one is false.
local function read_many(hash, fields)
  if #fields > 0 and #fields <= 2000 then return redis.call('HMGET', hash, unpack(fields)) end
  local values = {}
  for from = 1, #fields, 2000 do
    local part = redis.call('HMGET', hash, unpack(fields, from, math.min(from + 1999, #fields)))
    for i = 1, #part do values[#values + 1] = part[i] end
  end
  return values
end

-- The stored form of an event: sixteen bytes of its id, then its JSON; empty if it is gone.
local function value_of(keys, id)
  local entry = redis.call('XRANGE', keys.stream, id, id)[1]
  if entry then return entry[2][2] end
  return redis.call('HGET', keys.kept, id) or ''
end

local function wake(prefix, topic)
  redis.call('PUBLISH', prefix .. ':wake', topic)
end

-- Lanes have left a batch: their number is one less for each, and the last one takes the batch with it.
local function leave(keys, fence, lanes)
  if redis.call('HINCRBY', keys.batches, fence .. '#', -lanes) <= 0 then
    redis.call('HDEL', keys.batches, fence, fence .. '#')
    redis.call('ZREM', keys.due, '\0' .. fence)
  end
end

-- Gives the short lanes of a batch long records, with the batch's lease.
local function dissolve(keys, fence)
  local first, last = string.match(redis.call('HGET', keys.batches, fence) or '', '^(%S+) (%S+)$')
  local moment = redis.call('ZSCORE', keys.due, '\0' .. fence)
  if not first or not moment then return end
  local left = tonumber(redis.call('HGET', keys.batches, fence .. '#'))
  local records, due = {}, {}
  local entries
  repeat
    entries = redis.call('XRANGE', keys.stream, first, last, 'COUNT', 512)
    local names = {}
    for i, entry in ipairs(entries) do names[i] = entry[2][1] end
    for i, record in ipairs(read_many(keys.lanes, names)) do
      local holder, waiting = short(record or '')
      if holder == fence then
        append(records, names[i], fence .. ' 1 ' .. waiting .. ' ' .. entries[i][1] .. '/1')
        append(due, moment, names[i])
        left = left - 1
      end
    end
    if #entries > 0 then first = '(' .. entries[#entries][1] end
  until #entries < 512
  many('HSET', keys.lanes, records)
  many('ZADD', keys.due, due)
  redis.call('HDEL', keys.batches, fence, fence .. '#')
  redis.call('ZREM', keys.due, '\0' .. fence)
  if left <= 0 then return end
  -- Somebody took events out of the log that were being handled. Their lanes must not wait for them.
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', keys.lanes, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local key = page[2][i]
      local holder, waiting = short(page[2][i + 1])
      if holder == fence then
        redis.call('HINCRBY', keys.state, 'open', -1)
        if waiting > 0 then
          redis.call('HSET', keys.lanes, key, '0 0 ' .. waiting)
          redis.call('ZADD', keys.due, moment, key)
        else
          redis.call('HDEL', keys.lanes, key)
        end
      end
    end
  until cursor == '0'
end

-- Takes a lane with a long record back that was handed out and that nobody received: as if it had never been.
local function untake(keys, key, record, now)
  local lane = parse(record)
  lane.rows[1].attempts = lane.rows[1].attempts - 1
  lane.fence, lane.held = '0', 0
  redis.call('HSET', keys.lanes, key, record_of(lane))
  redis.call('ZADD', keys.due, text(now), key)
end
