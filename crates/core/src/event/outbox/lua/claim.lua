-- ARGV: the prefix, the holder, the lease in microseconds, how many shards and how many events at most, where to begin
local prefix, now, start = ARGV[1], server_time(), tonumber(ARGV[6])
local shards = {}
for n = 0, 63 do
  local shard = (start + n) % 64
  if #shards >= tonumber(ARGV[4]) then break end
  if redis.call('EXISTS', prefix .. 'shard:' .. shard) == 1 then
    local lease = redis.call('HGET', prefix .. 'leases', shard)
    if not lease or tonumber(lease:match(':(%d+)$')) <= now then
      shards[#shards + 1] = shard
    end
  end
end
local found = {}
local each = math.ceil(tonumber(ARGV[5]) / math.max(#shards, 1))
for _, shard in ipairs(shards) do
  redis.call('HSET', prefix .. 'leases', shard, ARGV[2] .. ':' .. string.format('%.0f', now + ARGV[3]))
  found[#found + 1] = { shard, redis.call('ZRANGE', prefix .. 'shard:' .. shard, 0, each - 1) }
end
return found
