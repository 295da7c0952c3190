-- ARGV: the prefix, the holder, how many shards, these, how many were relayed, their shards and places, then of each that was
-- refused its shard, its place, the reason's kind and its message
local prefix, holder, at = ARGV[1], ARGV[2], 4
local shards = tonumber(ARGV[3])
for n = 0, shards - 1 do
  local lease = redis.call('HGET', prefix .. 'leases', ARGV[at + n])
  if not lease or lease:match('^(%d+):') ~= holder then return 0 end
end
for n = 0, shards - 1 do
  redis.call('HDEL', prefix .. 'leases', ARGV[at + n])
end
at = at + shards
local relayed = tonumber(ARGV[at])
for n = 0, relayed - 1 do
  local seq = ARGV[at + 2 * n + 2]
  redis.call('ZREMRANGEBYSCORE', prefix .. 'shard:' .. ARGV[at + 2 * n + 1], seq, seq)
end
at = at + 2 * relayed + 1
local now = string.format('%.0f', server_time())
while at < #ARGV do
  local shard, seq, kind, message = prefix .. 'shard:' .. ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local member = redis.call('ZRANGEBYSCORE', shard, seq, seq)[1]
  if member then
    local body = member:match('^%d+:%d+:(.*)$')
    local position = redis.call('INCR', prefix .. 'positions')
    local head = string.format('%.0f:%s:%s:%d:%d:', position, now, ARGV[at], #kind, #message)
    redis.call('ZADD', prefix .. 'refused', position, head .. kind .. message .. body)
    redis.call('ZREMRANGEBYSCORE', shard, seq, seq)
  end
  at = at + 4
end
return 1
