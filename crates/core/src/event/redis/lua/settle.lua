-- KEYS: topics. ARGV: prefix, group, now, caller, call, then of each topic
--   its name, and how many fences acknowledge; of each of these the fence, how many events, their ids with a space between,
--   and their keys (at most 2,000 of one fence);
--   how many are settled otherwise; of each of these its key, fence, id and attempt, what, and for "retry" the delay in
--   microseconds, for "dead" the kind and the message of the reason.
-- Answers a string with "1" for each claim that stood and "0" for each that did not. A call that is repeated because
-- its answer was lost is answered as it was, and does nothing.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local done = prefix .. ':done:' .. ARGV[4]

local before = redis.call('GET', done)
if before then
  local call, answer = string.match(before, '^(%d+) (%d*)$')
  if call == ARGV[5] then return answer end
end

local answers, at = {}, 6

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

-- The lane of a claim, kept in `lanes` from then on; nil if the claim is not on what the lane holds.
local function lane_of(keys, lanes, claim)
  local lane = lanes[claim.key]
  if lane == nil then
    local record = redis.call('HGET', keys.lanes, claim.key)
    local holder, waiting = short(record or '')
    if holder then
      if holder ~= claim.fence then return nil end
      lane = { fence = holder, held = 1, waiting = waiting, rows = { { id = claim.id, attempts = 1 } }, batch = holder }
    else
      lane = record and parse(record) or ''
    end
    lanes[claim.key] = lane
  end
  if lane ~= '' and claim.fence ~= '0' and lane.fence == claim.fence then return lane end
end

-- Settles what needs more than a comparison. What is in `lanes` was read and may be changed; a lane that is closed is ''.
local function settle(keys, lanes, settled, claim)
  local lane = lane_of(keys, lanes, claim)
  local place = lane and place_of(lane, claim.id)
  if not place then return '0' end
  if claim.what == 'ack' or claim.what == 'dead' then
    if claim.what == 'dead' then bury(keys, claim) end
    table.remove(lane.rows, place)
    settled[#settled + 1] = claim.id
    lane.held = lane.held - 1
    if lane.held > 0 then
      -- Unless it was not the first, and so the first is begun already.
      if place == 1 then lane.rows[1].attempts = lane.rows[1].attempts + 1 end
    else
      lane.fence, lane.due = '0', now
    end
  else
    local attempts = tonumber(claim.attempt)
    if claim.what == 'release' then attempts = math.max(0, attempts - 1) end
    lane.rows[place].attempts = attempts
    lane.fence, lane.held, lane.due = '0', 0, now + (claim.after or 0)
  end
  lane.changed = true
  return '1'
end

-- Acknowledges what one fetch handed out. By far the most frequent is the only event of its lane, handed out for the first
-- time and nothing behind it: its record is the fence. The others are noted for later. Answers how many it closed.
local function acknowledge(keys, others)
  local fence, total = ARGV[at], tonumber(ARGV[at + 1])
  local ids, first = ARGV[at + 2], at + 2
  at = first + total + 1
  local found = redis.call('HMGET', keys.lanes, unpack(ARGV, first + 1, first + total))
  local same = 0
  while same < total and found[same + 1] == fence do same = same + 1 end
  if same == total then
    local closed = redis.call('HDEL', keys.lanes, unpack(ARGV, first + 1, first + total))
    if closed == total then
      answers[#answers + 1] = string.rep('1', total)
      return closed
    end
  end
  -- Some are of another kind, or one is there twice.
  local closed, seen, i = {}, {}, 0
  for id in string.gmatch(ids, '%S+') do
    i = i + 1
    local key = ARGV[first + i]
    if seen[key] and found[i] == fence then
      answers[#answers + 1] = '0'
    elseif found[i] == fence then
      seen[key] = true
      closed[#closed + 1] = key
      answers[#answers + 1] = '1'
    else
      answers[#answers + 1] = '0'
      others[#others + 1] = { at = #answers, key = key, fence = fence, id = id, what = 'ack' }
    end
  end
  if #closed > 0 and same < total then redis.call('HDEL', keys.lanes, unpack(closed)) end
  return #closed
end

while at <= #ARGV do
  local topic, fences = ARGV[at], tonumber(ARGV[at + 1])
  local keys = keys_of(prefix, group, topic)
  local claims, left, alone = {}, {}, 0
  at = at + 2
  for _ = 1, fences do
    local fence = ARGV[at]
    local closed = acknowledge(keys, claims)
    if closed > 0 then left[fence] = (left[fence] or 0) + closed end
    alone = alone + closed
  end
  for _ = 1, tonumber(ARGV[at]) do
    local claim = { topic = topic, key = ARGV[at + 1], fence = ARGV[at + 2], id = ARGV[at + 3], attempt = ARGV[at + 4],
      what = ARGV[at + 5] }
    at = at + 5
    if claim.what == 'retry' then
      claim.after = tonumber(ARGV[at + 1])
      at = at + 1
    elseif claim.what == 'dead' then
      claim.kind, claim.message = ARGV[at + 1], ARGV[at + 2]
      at = at + 2
    end
    claim.at = #answers + 1
    answers[claim.at] = '0'
    claims[#claims + 1] = claim
  end
  at = at + 1

  local lanes, settled = {}, {}
  for _, claim in ipairs(claims) do answers[claim.at] = settle(keys, lanes, settled, claim) end
  local records, due, closed = {}, {}, {}
  for key, lane in pairs(lanes) do
    if lane ~= '' and lane.changed then
      if lane.batch then left[lane.batch] = (left[lane.batch] or 0) + 1 end
      if #lane.rows == 0 and lane.waiting == 0 then
        closed[#closed + 1] = key
      else
        append(records, key, record_of(lane))
        if lane.due then append(due, text(lane.due), key) end
      end
    end
  end
  many('HSET', keys.lanes, records)
  many('ZADD', keys.due, due)
  many('HDEL', keys.lanes, closed)
  many('ZREM', keys.due, closed)
  for fence, count in pairs(left) do leave(keys, fence, count) end
  if alone + #settled > 0 then
    redis.call('HINCRBY', keys.state, 'open', -alone - #settled)
    if redis.call('EXISTS', keys.kept) == 1 then many('HDEL', keys.kept, settled) end
  end
  if #due > 0 then
    saw(keys, now)
    wake(prefix, topic)
  end
end
local answer = table.concat(answers)
redis.call('SET', done, ARGV[5] .. ' ' .. answer, 'PX', 3600000)
return answer
