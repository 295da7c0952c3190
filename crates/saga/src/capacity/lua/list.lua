-- ARGV: the prefix, the pool, the ticket before, how many. Holders, and `ticket:until` of each.
local found = {}
local listed = redis.call('ZRANGEBYSCORE', ARGV[1] .. 'tickets:' .. ARGV[2], '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4])
for n, holder in ipairs(listed) do
  found[n] = { holder, redis.call('HGET', ARGV[1] .. 'holds:' .. ARGV[2], holder) }
end
return found
