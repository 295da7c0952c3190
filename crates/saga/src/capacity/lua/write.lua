-- ARGV: the prefix, the pool, the revision that was read, used, last, then holder, ticket, until: without a ticket the place is
-- free again, without an end it is confirmed. 1 if it is written, 0 if others wrote since.
local prefix, pool = ARGV[1], ARGV[2]
local key, holds = prefix .. 'pool:' .. pool, prefix .. 'holds:' .. pool
local tickets, ends = prefix .. 'tickets:' .. pool, prefix .. 'until:' .. pool
if redis.call('HGET', key, 'rev') ~= ARGV[3] then return 0 end
for n = 6, #ARGV, 3 do
  local holder, ticket, till = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  if ticket == '' then
    redis.call('HDEL', holds, holder)
    redis.call('ZREM', tickets, holder)
  else
    redis.call('HSET', holds, holder, ticket .. ':' .. till)
    redis.call('ZADD', tickets, ticket, holder)
  end
  if till == '' then redis.call('ZREM', ends, holder) else redis.call('ZADD', ends, till, holder) end
end
redis.call('HSET', key, 'used', ARGV[4], 'last', ARGV[5])
redis.call('HINCRBY', key, 'rev', 1)
return 1
