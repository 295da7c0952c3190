-- KEYS: topics. ARGV: prefix, group.
local prefix, group = ARGV[1], ARGV[2]
local known = 0
for _, topic in ipairs(redis.call('HKEYS', KEYS[1])) do
  local keys = keys_of(prefix, group, topic)
  known = known + redis.call('HDEL', keys.cursors, group)
  redis.call('UNLINK', keys.lanes, keys.due, keys.batches, keys.wait, keys.kept, keys.state)
end
local base = prefix .. ':d:' .. group
redis.call('UNLINK', base, base .. ':letters', base .. ':ids', base .. ':count', base .. ':last')
return math.min(known, 1)
