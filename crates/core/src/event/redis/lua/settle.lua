-- KEYS: topics. ARGV: prefix, group, now, caller, call, then of each topic its name, how many are acknowledged, their keys,
-- and what their lanes' records are if nothing else is in them ("fence 1 0 id/attempt"); how many are settled otherwise,
-- and of each of these the key, that record, what, and for "retry" the delay in microseconds, for "dead" the kind and the
-- message of the reason.
-- Answers a string with "1" for each claim that stood and "0" for each that did not. A call that is repeated because
-- its answer was lost is answered as it was, and does nothing.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local done = prefix .. ':done:' .. ARGV[4]

local before = redis.call('GET', done)
if before then
  local call, answer = string.match(before, '^(%d+) (%d*)$')
  if call == ARGV[5] then return answer end
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

-- `lanes` holds what of the lanes was read and changed; a lane that is closed is ''.
local function settle(keys, lanes, settled, claim)
  local lane = lanes[claim.key]
  if lane == nil then
    local record = redis.call('HGET', keys.lanes, claim.key)
    lane = record and parse(record) or ''
    lanes[claim.key] = lane
  end
  if lane == '' or claim.fence == '0' or lane.fence ~= claim.fence then return '0' end
  local place = place_of(lane, claim.id)
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

local function claim_of(topic, key, record, what)
  local fence, id, attempt = string.match(record, '^(%d+) 1 0 (%d+%-%d+)/(%d+)$')
  return { topic = topic, key = key, fence = fence, id = id, attempt = attempt, what = what }
end

local answers, at = {}, 6
while at <= #ARGV do
  local topic, acks = ARGV[at], tonumber(ARGV[at + 1])
  local keys = keys_of(prefix, group, topic)
  local lanes, settled, closed = {}, {}, {}
  local first, alone, begun = at + 1, 0, #answers
  -- By far the most frequent: the acknowledgement of the only event of its lane, which needs no more than a comparison.
  for from = 1, acks, 2000 do
    local to = math.min(from + 1999, acks)
    local found = redis.call('HMGET', keys.lanes, unpack(ARGV, first + from, first + to))
    for i = from, to do
      local key, record = ARGV[first + i], ARGV[first + acks + i]
      if found[i - from + 1] == record and lanes[key] == nil then
        lanes[key] = ''
        closed[#closed + 1] = key
        alone = alone + 1
        answers[#answers + 1] = '1'
      else
        answers[#answers + 1] = settle(keys, lanes, settled, claim_of(topic, key, record, 'ack'))
      end
    end
  end
  at = first + 2 * acks + 1
  for _ = 1, tonumber(ARGV[at]) do
    local claim = claim_of(topic, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    at = at + 3
    if claim.what == 'retry' then
      claim.after = tonumber(ARGV[at + 1])
      at = at + 1
    elseif claim.what == 'dead' then
      claim.kind, claim.message = ARGV[at + 1], ARGV[at + 2]
      at = at + 2
    end
    answers[#answers + 1] = settle(keys, lanes, settled, claim)
  end
  at = at + 1

  local records, due = {}, {}
  for key, lane in pairs(lanes) do
    if lane ~= '' and lane.changed then
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
  if alone + #settled > 0 then
    redis.call('HINCRBY', keys.state, 'open', -alone - #settled)
    if redis.call('EXISTS', keys.kept) == 1 then
      for i = 1, acks do
        if answers[begun + i] == '1' then
          settled[#settled + 1] = claim_of(topic, '', ARGV[first + acks + i]).id
        end
      end
      many('HDEL', keys.kept, settled)
    end
  end
  if #due > 0 then
    saw(keys, now)
    wake(prefix, topic)
  end
end
local answer = table.concat(answers)
redis.call('SET', done, ARGV[5] .. ' ' .. answer, 'PX', 3600000)
return answer
