-- KEYS: topics. ARGV: prefix, group, now, lease, then topic, key, id and fence of each receipt.
-- Answers a string with "1" for each claim that stands and "0" for each that does not.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local until_ = text(now + tonumber(ARGV[4]))
local answers, renewed = {}, {}
for at = 5, #ARGV, 4 do
  local topic, key, id, fence = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local lease = renewed[topic] or { keys = keys_of(prefix, group, topic), records = {}, moments = {}, left = {} }
  renewed[topic] = lease
  local record = redis.call('HGET', lease.keys.lanes, key)
  local holder, waiting = short(record or '')
  local stands = false
  if holder then
    if holder == fence then
      -- Its batch's lease runs on as it did, for those who renew nothing.
      stands = true
      append(lease.records, key, fence .. ' 1 ' .. waiting .. ' ' .. id .. '/1')
      lease.left[fence] = (lease.left[fence] or 0) + 1
    end
  elseif record and fence ~= '0' and string.match(record, '^%d+') == fence then
    stands = string.find(record, ' ' .. id .. '/', 1, true)
  end
  if stands then append(lease.moments, until_, key) end
  answers[#answers + 1] = stands and '1' or '0'
end
for _, lease in pairs(renewed) do
  if #lease.moments > 0 then
    many('HSET', lease.keys.lanes, lease.records)
    many('ZADD', lease.keys.due, lease.moments)
    for fence, lanes in pairs(lease.left) do leave(lease.keys, fence, lanes) end
    saw(lease.keys, now)
  end
end
return table.concat(answers)
