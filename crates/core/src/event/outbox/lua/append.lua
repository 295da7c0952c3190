-- Appends events to the outbox whose keys begin with `prefix`: from ARGV[first] on, `count` times a shard and a body.
local function outbox_append(prefix, now, first, count)
  for n = 0, count - 1 do
    local seq = redis.call('INCR', prefix .. 'seq')
    local member = string.format('%.0f:%.0f:', seq, now) .. ARGV[first + 2 * n + 1]
    redis.call('ZADD', prefix .. 'shard:' .. ARGV[first + 2 * n], seq, member)
  end
end
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
