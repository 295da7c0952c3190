-- KEYS: topics. ARGV: prefix, group, then the topics. Answers how many events are not settled, and how many are dead.
local prefix, group, unsettled, dead = ARGV[1], ARGV[2], 0, 0
for i = 3, #ARGV do
  local keys = keys_of(prefix, group, ARGV[i])
  local cursor = redis.call('HGET', keys.cursors, group)
  if cursor then
    local last = redis.call('HGET', KEYS[1], ARGV[i]) or '0-0'
    unsettled = unsettled + number_of(last) - number_of(cursor)
      + tonumber(redis.call('HGET', keys.state, 'open') or '0')
  end
  dead = dead + tonumber(redis.call('HGET', prefix .. ':d:' .. group .. ':count', ARGV[i]) or '0')
end
return { unsettled, dead }
