-- ARGV: the prefix, then positions. Back into the outbox, after what it holds.
local prefix, now, count = ARGV[1], server_time(), 0
for n = 2, #ARGV do
  local member = redis.call('ZRANGEBYSCORE', prefix .. 'refused', ARGV[n], ARGV[n])[1]
  if member then
    local shard, kind, message, rest = member:match('^%d+:%d+:(%d+):(%d+):(%d+):(.*)$')
    local body = rest:sub(kind + message + 1)
    local seq = redis.call('INCR', prefix .. 'seq')
    redis.call('ZADD', prefix .. 'shard:' .. shard, seq, string.format('%.0f:%.0f:', seq, now) .. body)
    redis.call('ZREMRANGEBYSCORE', prefix .. 'refused', ARGV[n], ARGV[n])
    count = count + 1
  end
end
return count
