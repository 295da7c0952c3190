-- KEYS: topics. ARGV: prefix, group, now, then ids. Answers how many of them were dead letters.
local prefix, group, now = ARGV[1], ARGV[2], clock(ARGV[3])
local base = prefix .. ':d:' .. group
local count = 0
for i = 4, #ARGV do
  local position = redis.call('HGET', base .. ':ids', ARGV[i])
  if position then
    local letter = cmsgpack.unpack(redis.call('HGET', base .. ':letters', position))
    local topic, id, key, value = letter[1], letter[2], letter[3], letter[8]
    redis.call('HDEL', base .. ':letters', position)
    redis.call('HDEL', base .. ':ids', ARGV[i])
    redis.call('ZREM', base, position)
    redis.call('HINCRBY', base .. ':count', topic, -1)
    local keys = keys_of(prefix, group, topic)
    -- The log may have let it go meanwhile.
    redis.call('HSET', keys.kept, id, value)
    local record = redis.call('HGET', keys.lanes, key)
    if record then
      redis.call('HSET', keys.lanes, key, with_waiting(record, 1))
      redis.call('ZADD', keys.wait, '0', waiting_member(key, id))
    else
      redis.call('HSET', keys.lanes, key, '0 0 0 ' .. id .. '/0')
      redis.call('ZADD', keys.due, text(now), key)
    end
    redis.call('HINCRBY', keys.state, 'open', 1)
    wake(prefix, topic)
    count = count + 1
  end
end
return count
