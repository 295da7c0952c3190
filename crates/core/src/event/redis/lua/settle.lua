-- KEYS: topics. ARGV: prefix, group, now, caller, call, then of each settlement topic, key, id, fence, attempt, what, and
-- for "retry" the delay in microseconds, for "dead" the kind and the message of the reason.
-- Answers a string with "1" for each claim that stood and "0" for each that did not. A call that is repeated because
-- its answer was lost is answered as it was, and does nothing.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local done = prefix .. ':done:' .. ARGV[4]

local before = redis.call('GET', done)
if before then
  local call, answer = string.match(before, '^(%d+) (%d*)$')
  if call == ARGV[5] then return answer end
end

local claims, subs, order = {}, {}, {}
local at = 6
while at <= #ARGV do
  local claim = { topic = ARGV[at], key = ARGV[at + 1], id = ARGV[at + 2], fence = ARGV[at + 3],
    attempt = ARGV[at + 4], what = ARGV[at + 5] }
  at = at + 6
  if claim.what == 'retry' then
    claim.after = tonumber(ARGV[at])
    at = at + 1
  elseif claim.what == 'dead' then
    claim.kind, claim.message = ARGV[at], ARGV[at + 1]
    at = at + 2
  end
  claims[#claims + 1] = claim
  local sub = subs[claim.topic]
  if not sub then
    sub = { keys = keys_of(prefix, group, claim.topic), wanted = {}, asked = {}, lanes = {}, settled = {} }
    subs[claim.topic] = sub
    order[#order + 1] = sub
  end
  if not sub.asked[claim.key] then
    sub.asked[claim.key] = true
    sub.wanted[#sub.wanted + 1] = claim.key
  end
end
for _, sub in ipairs(order) do
  for i, record in ipairs(read_many(sub.keys.lanes, sub.wanted)) do
    if record then sub.lanes[sub.wanted[i]] = { record = record } end
  end
end

local function place_of(lane, id)
  for i = 1, lane.held do
    if lane.rows[i].id == id then return i end
  end
end

local function bury(keys, claim)
  local base = prefix .. ':d:' .. group
  local position = redis.call('INCR', base .. ':last')
  local value = value_of(keys, claim.id)
  local letter = cmsgpack.pack({ claim.topic, claim.id, claim.key, claim.attempt, claim.kind, claim.message,
    text(now), value })
  redis.call('HSET', base .. ':letters', position, letter)
  redis.call('ZADD', base, position, position)
  redis.call('HSET', base .. ':ids', string.sub(value, 1, 16), position)
  redis.call('HINCRBY', base .. ':count', claim.topic, 1)
end

local function settle(sub, claim)
  local state = sub.lanes[claim.key]
  if not state or claim.fence == '0' then return '0' end
  if claim.what == 'ack' and state.record == claim.fence .. ' 1 0 ' .. claim.id .. '/' .. claim.attempt then
    -- By far the most frequent: the only event of its lane.
    state.record = ''
    sub.settled[#sub.settled + 1] = claim.id
    return '1'
  end
  if state.record then
    if state.record == '' then return '0' end
    state.lane, state.record = parse(state.record), nil
  end
  local lane = state.lane
  if lane.fence ~= claim.fence then return '0' end
  local place = place_of(lane, claim.id)
  if not place then return '0' end
  if claim.what == 'ack' or claim.what == 'dead' then
    if claim.what == 'dead' then bury(sub.keys, claim) end
    table.remove(lane.rows, place)
    sub.settled[#sub.settled + 1] = claim.id
    lane.held = lane.held - 1
    if lane.held > 0 then
      -- Unless it was not the first, and so the first is begun already.
      if place == 1 then lane.rows[1].attempts = lane.rows[1].attempts + 1 end
    else
      lane.fence, state.due = '0', now
    end
  else
    local attempts = tonumber(claim.attempt)
    if claim.what == 'release' then attempts = math.max(0, attempts - 1) end
    lane.rows[place].attempts = attempts
    lane.fence, lane.held, state.due = '0', 0, now + (claim.after or 0)
  end
  state.changed = true
  return '1'
end

local answers = {}
for i, claim in ipairs(claims) do answers[i] = settle(subs[claim.topic], claim) end

for _, sub in ipairs(order) do
  local records, due, closed = {}, {}, {}
  for key, state in pairs(sub.lanes) do
    local lane = state.lane
    if state.record == '' or (state.changed and #lane.rows == 0 and lane.waiting == 0) then
      closed[#closed + 1] = key
    elseif state.changed then
      append(records, key, record_of(lane))
      if state.due then append(due, text(state.due), key) end
    end
  end
  many('HSET', sub.keys.lanes, records)
  many('ZADD', sub.keys.due, due)
  many('HDEL', sub.keys.lanes, closed)
  many('ZREM', sub.keys.due, closed)
  if #sub.settled > 0 then
    redis.call('HINCRBY', sub.keys.state, 'open', -#sub.settled)
    if redis.call('EXISTS', sub.keys.kept) == 1 then many('HDEL', sub.keys.kept, sub.settled) end
  end
  if #due > 0 then
    saw(sub.keys, now)
    wake(prefix, sub.keys.topic)
  end
end
local answer = table.concat(answers)
redis.call('SET', done, ARGV[5] .. ' ' .. answer, 'PX', 3600000)
return answer
