-- KEYS: topics. ARGV: prefix, group, now, lease, then topic, key, id and fence of each receipt.
-- Answers a string with "1" for each claim that stands and "0" for each that does not.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local until_ = text(now + tonumber(ARGV[4]))
local answers, leases = {}, {}
for at = 5, #ARGV, 4 do
  local topic, key = ARGV[at], ARGV[at + 1]
  local keys = keys_of(prefix, group, topic)
  local record = redis.call('HGET', keys.lanes, key)
  local stands = record and ARGV[at + 3] ~= '0' and string.match(record, '^%d+') == ARGV[at + 3]
    and string.find(record, ' ' .. ARGV[at + 2] .. '/', 1, true)
  if stands then
    local lease = leases[topic] or { keys = keys, moments = {} }
    leases[topic] = lease
    append(lease.moments, until_, key)
  end
  answers[#answers + 1] = stands and '1' or '0'
end
for _, lease in pairs(leases) do
  many('ZADD', lease.keys.due, lease.moments)
  saw(lease.keys, now)
end
return table.concat(answers)
