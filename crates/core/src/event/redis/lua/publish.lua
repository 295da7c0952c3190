-- KEYS: topics. ARGV: prefix, now, window, then topic, key, id, JSON of each event.
-- Answers how many events were new. Whatever can fail is called before anything is written.
local prefix, now, window = ARGV[1], clock(ARGV[2]), tonumber(ARGV[3])
local recent, older = prefix .. ':ids', prefix .. ':ids:old'
local total = (#ARGV - 3) / 4

local ids = {}
for i = 1, total do ids[i] = ARGV[3 + i * 4 - 1] end
local known = {}
for _, set in ipairs({ recent, older }) do
  for from = 1, total, 2000 do
    local to = math.min(from + 1999, total)
    for place, found in ipairs(redis.call('SMISMEMBER', set, unpack(ids, from, to))) do
      if found == 1 then known[ids[from + place - 1]] = true end
    end
  end
end

local heads, events, new = {}, {}, {}
local now_ms = math.floor(now / 1000)
for i = 1, total do
  local at = 3 + (i - 1) * 4
  local topic, key, id = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if not known[id] then
    known[id] = true
    local head = heads[topic]
    if not head then
      redis.call('XLEN', prefix .. ':t:' .. topic)
      local ms, number = string.match(redis.call('HGET', KEYS[1], topic) or '0-0', '^(%d+)%-(%d+)$')
      -- A clock that goes back must not make the order of ids go back.
      head = { ms = text(math.max(now_ms, tonumber(ms))), number = tonumber(number) }
      heads[topic] = head
    end
    head.number = head.number + 1
    new[#new + 1] = id
    events[#events + 1] = { topic, head.ms .. '-' .. text(head.number), key, id .. ARGV[at + 4] }
  end
end
if #new == 0 then return 0 end

-- Two generations of ids: at least the last `window` are known, at most twice as many are kept.
if redis.call('SCARD', recent) >= window then
  redis.call('UNLINK', older)
  redis.call('RENAME', recent, older)
end
for _, event in ipairs(events) do
  redis.call('XADD', prefix .. ':t:' .. event[1], event[2], event[3], event[4])
end
many('SADD', recent, new)
for topic, head in pairs(heads) do
  redis.call('HSET', KEYS[1], topic, head.ms .. '-' .. text(head.number))
  wake(prefix, topic)
end
return #new
