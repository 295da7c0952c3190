-- ARGV: the prefix. How many wait, for how long the oldest has (or nothing), how many were put aside.
local prefix, now = ARGV[1], server_time()
local pending, oldest = 0, false
for shard = 0, 63 do
  local key = prefix .. 'shard:' .. shard
  local count = redis.call('ZCARD', key)
  if count > 0 then
    pending = pending + count
    local age = now - redis.call('ZRANGE', key, 0, 0)[1]:match('^%d+:(%d+):')
    if not oldest or age > oldest then oldest = age end
  end
end
return { pending, oldest and string.format('%.0f', oldest), redis.call('ZCARD', prefix .. 'refused') }
