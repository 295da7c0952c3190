-- KEYS: topics. ARGV: prefix, group, topic, number, "wait" or "lanes", cursor.
-- One step through the events that a group has taken in and not settled: those that a trim up to the number would take
-- are copied. Answers the cursor of the next step. Events only ever move from `wait` to `lanes`, and batches get no others
-- than newer ones: who goes through them in this order misses none.
local keys, limit = keys_of(ARGV[1], ARGV[2], ARGV[3]), tonumber(ARGV[4])

local function keep(id)
  if number_of(id) > limit then return end
  local entry = redis.call('XRANGE', keys.stream, id, id)[1]
  if entry then redis.call('HSET', keys.kept, id, entry[2][2]) end
end

local page
if ARGV[5] == 'wait' then
  page = redis.call('ZSCAN', keys.wait, ARGV[6], 'COUNT', 1000)
  for i = 1, #page[2], 2 do
    local key = string.match(page[2][i], '^(%Z*)%z')
    keep(waiting_id(page[2][i], key))
  end
else
  if ARGV[6] == '0' then
    local batches = redis.call('HGETALL', keys.batches)
    for i = 1, #batches, 2 do
      local first = string.match(batches[i + 1], '^(%S+) ')
      if first and number_of(first) <= limit then dissolve(keys, batches[i]) end
    end
  end
  page = redis.call('HSCAN', keys.lanes, ARGV[6], 'COUNT', 1000)
  for i = 1, #page[2], 2 do
    -- A short one is of a batch that is newer.
    if page[2][i] ~= NO_LANE and not short(page[2][i + 1]) then
      for _, row in ipairs(parse(page[2][i + 1]).rows) do keep(row.id) end
    end
  end
end
return page[1]
