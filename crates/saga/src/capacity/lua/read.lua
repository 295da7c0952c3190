-- ARGV: the prefix, the pool, holders. The time, total, used, last, revision, how many hold, and of each holder `ticket:until`.
-- What is over is deleted, and counted off, before it is read.
local prefix, pool = ARGV[1], ARGV[2]
local key, holds = prefix .. 'pool:' .. pool, prefix .. 'holds:' .. pool
local tickets, ends = prefix .. 'tickets:' .. pool, prefix .. 'until:' .. pool
if redis.call('EXISTS', key) == 0 then return false end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
while true do
  local over = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)
  if #over == 0 then break end
  for _, holder in ipairs(over) do
    redis.call('HDEL', holds, holder)
    redis.call('ZREM', tickets, holder)
    redis.call('ZREM', ends, holder)
  end
  redis.call('HINCRBY', key, 'used', -#over)
  redis.call('HINCRBY', key, 'rev', 1)
end
local found = {}
for n = 3, #ARGV do
  found[n - 2] = redis.call('HGET', holds, ARGV[n])
end
local head = redis.call('HMGET', key, 'total', 'used', 'last', 'rev')
return { now, head[1], head[2], head[3], head[4], tostring(redis.call('ZCARD', ends)), found }
