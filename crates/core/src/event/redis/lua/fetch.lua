-- KEYS: topics. ARGV: prefix, group, now, lease, max, fence, how many lost fences, these, then the topics.
-- Answers the microseconds until something is due (-1: nothing waits), then of each topic with deliveries its place and
-- their number, and of each delivery "id/attempt" (only the id, if it is the first), its key and its stored form.
--
-- What every event goes through makes no table and no string of its own: on the way of an event whose lane is free, the
-- garbage collector costs more than the commands.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local until_ = text(now + tonumber(ARGV[4]))
local max, fence, lost = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])

local CHUNK = 512 -- events that are read at a time when the lanes of the first ones are busy
local CHUNKS = 8 -- such reads before the rest is left to the next fetch
local LAPSED = 8 -- batches whose lease has ended that are looked through before the rest is left to the next fetch

local out, count, next_due = { -1 }, 0, nil

local function deliver(row, key, value)
  count = count + 1
  local at = #out
  out[at + 1], out[at + 2], out[at + 3] = row, key, value
end

-- Moves events of a lane from `wait` into its rows: as many as a run takes, and those that a replay put before them.
local function take_waiting(keys, key, lane)
  local from, to = '[' .. key .. '\0', '(' .. key .. '\1'
  local members = redis.call('ZRANGE', keys.wait, from, to, 'BYLEX', 'LIMIT', 0, RUN)
  local rows, last = {}, 0
  for i, row in ipairs(lane.rows) do
    row.number = number_of(row.id)
    rows[i], last = row, row.number
  end
  for _, member in ipairs(members) do
    local id = waiting_id(member, key)
    rows[#rows + 1] = { id = id, attempts = 0, number = number_of(id), member = member }
  end
  table.sort(rows, function(one, other) return one.number < other.number end)
  local moved = {}
  lane.rows = {}
  for i, row in ipairs(rows) do
    if i > RUN and row.number > last then break end
    lane.rows[i] = row
    moved[#moved + 1] = row.member
  end
  if #moved > 0 then redis.call('ZREM', keys.wait, unpack(moved)) end
  lane.waiting = lane.waiting - #moved
end

-- The lanes that are due, those of batches whose lease has ended among them.
local function due_lanes(keys)
  local dissolved = 0
  while true do
    local lanes, before = {}, dissolved
    for _, member in ipairs(redis.call('ZRANGE', keys.due, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, max - count)) do
      if string.byte(member) ~= 0 then
        lanes[#lanes + 1] = member
      elseif dissolved < LAPSED then
        dissolve(keys, string.sub(member, 2))
        dissolved = dissolved + 1
      end
    end
    if dissolved == before then return lanes end
  end
end

-- Hands out lanes whose delay or lease has ended, or which were given back.
local function take_due(keys)
  local due = due_lanes(keys)
  if #due == 0 then return end
  local share = math.max(1, math.min(RUN, math.floor((max - count) / #due)))
  local records, leases = {}, {}
  for i, record in ipairs(read_many(keys.lanes, due)) do
    local key, lane = due[i], parse(record)
    if lane.waiting > 0 then take_waiting(keys, key, lane) end
    lane.fence, lane.held = fence, math.min(share, #lane.rows)
    lane.rows[1].attempts = lane.rows[1].attempts + 1
    for r = 1, lane.held do
      local row = lane.rows[r]
      local attempt = r == 1 and row.attempts or row.attempts + 1
      deliver(row.id .. '/' .. attempt, key, value_of(keys, row.id))
    end
    append(records, key, record_of(lane))
    append(leases, until_, key)
  end
  many('HSET', keys.lanes, records)
  many('ZADD', keys.due, leases)
end

-- A lane that this fetch has handed out whole, so that more of it may follow; nil for any other.
local function ours(record)
  local holder, held, waiting, rows = string.match(record, '^(%d+) (%d+) (%d+) (.*)$')
  if holder ~= fence or waiting ~= '0' then return nil end
  local _, count_of_rows = string.gsub(rows, '/', '/')
  if count_of_rows ~= tonumber(held) then return nil end
  return { held = count_of_rows, waiting = 0, rows = rows }
end

-- Takes events in after the cursor: hands them out if their lane is free, and lets them wait behind it otherwise.
local function take_fresh(keys)
  local last = redis.call('HGET', KEYS[1], keys.topic)
  local cursor = redis.call('HGET', keys.cursors, group)
  if not last or not cursor then return end
  local first, taken, reads = nil, 0, 0
  -- Lanes that this fetch hands out: in `records` each with what its record will be, in `mine` at which place, in `ids`
  -- the event of one that is short; in `runs` what those with more than that hold, which are not.
  local records, mine, ids, lanes, short_ones = {}, {}, {}, 0, 0
  local runs = {}
  local busy, waiting = {}, {} -- lanes that others hold
  while cursor ~= last and count < max and reads < CHUNKS do
    local size = reads == 0 and math.min(max - count, CHUNK) or CHUNK
    reads = reads + 1
    local entries = redis.call('XRANGE', keys.stream, '(' .. cursor, '+', 'COUNT', size)
    if #entries == 0 then break end
    local wanted = {}
    for i = 1, #entries do wanted[i] = entries[i][2][1] end
    local found = read_many(keys.lanes, wanted)
    first = first or entries[1][1]
    local at = #out
    for i = 1, #entries do
      if count >= max then break end
      local entry, key, record = entries[i], wanted[i], found[i]
      local id, lane = entry[1], mine[key]
      cursor, taken = id, taken + 1
      if not record and not lane then
        lanes, short_ones = lanes + 1, short_ones + 1
        mine[key], ids[lanes] = lanes, id
        records[2 * lanes - 1], records[2 * lanes] = key, fence
        out[at + 1], out[at + 2], out[at + 3] = id, key, entry[2][2]
        count, at = count + 1, at + 3
      else
        local run = runs[key]
        if not run and not busy[key] then
          if lane then
            run = { held = 1, waiting = 0, rows = ids[lane] .. '/1' }
            short_ones = short_ones - 1
          else
            run = ours(record)
            if run then
              lanes = lanes + 1
              mine[key] = lanes
              records[2 * lanes - 1] = key
            else
              busy[key] = { record = record, waiting = 0 }
            end
          end
          runs[key] = run
        end
        if run and run.held < RUN then
          run.held, run.rows = run.held + 1, run.rows .. ' ' .. id .. '/0'
          out[at + 1], out[at + 2], out[at + 3] = id, key, entry[2][2]
          count, at = count + 1, at + 3
        else
          local lane_of_it = run or busy[key]
          lane_of_it.waiting = lane_of_it.waiting + 1
          append(waiting, '0', waiting_member(key, id))
        end
      end
    end
  end
  if taken == 0 then return end
  local leases = {}
  for key, run in pairs(runs) do
    records[2 * mine[key]] = fence .. ' ' .. run.held .. ' ' .. run.waiting .. ' ' .. run.rows
    append(leases, until_, key)
  end
  if short_ones > 0 then
    redis.call('HSET', keys.batches, fence, first .. ' ' .. cursor, fence .. '#', short_ones)
    append(leases, until_, '\0' .. fence)
  end
  for key, lane in pairs(busy) do append(records, key, with_waiting(lane.record, lane.waiting)) end
  many('HSET', keys.lanes, records)
  many('ZADD', keys.due, leases)
  many('ZADD', keys.wait, waiting)
  redis.call('HSET', keys.cursors, group, cursor)
  redis.call('HINCRBY', keys.state, 'open', taken)
end

-- When the clock went back (a failover, a correction), what waits for a moment waits as long as it was meant to.
local function keep_time(keys)
  local seen = tonumber(redis.call('HGET', keys.state, 'seen') or '0')
  if now < seen - 500000 then
    local later = {}
    local lanes = redis.call('ZRANGE', keys.due, text(now), '(+inf', 'BYSCORE', 'WITHSCORES')
    for i = 1, #lanes, 2 do
      later[i], later[i + 1] = text(tonumber(lanes[i + 1]) - (seen - now)), lanes[i]
    end
    many('ZADD', keys.due, later)
    saw(keys, now)
  end
end

for place = 1, #ARGV - 7 - lost do
  local keys = keys_of(prefix, group, ARGV[7 + lost + place])
  if lost > 0 then
    for l = 1, lost do dissolve(keys, ARGV[7 + l]) end
    local cursor = '0'
    repeat
      local page = redis.call('HSCAN', keys.lanes, cursor, 'COUNT', 1000)
      cursor = page[1]
      for i = 1, #page[2], 2 do
        local holder = string.match(page[2][i + 1], '^%d+')
        for l = 1, lost do
          if holder == ARGV[7 + l] then untake(keys, page[2][i], page[2][i + 1], now) end
        end
      end
    until cursor == '0'
  end
  if count < max then
    local before, at = count, #out
    out[at + 1], out[at + 2] = place, 0
    keep_time(keys)
    take_due(keys)
    if count < max then take_fresh(keys) end
    if count > before then
      out[at + 2] = count - before
      saw(keys, now)
    else
      out[at + 2], out[at + 1] = nil, nil
    end
    if count == 0 then
      local first = redis.call('ZRANGE', keys.due, '-inf', '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
      if first then next_due = math.min(next_due or math.huge, tonumber(first)) end
    end
  end
end
if count == 0 and next_due then out[1] = math.max(0, next_due - now) end
return out
