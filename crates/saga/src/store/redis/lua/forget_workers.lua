-- ARGV: the prefix. Whoever lives has renewed within a day.
local workers, gone = ARGV[1] .. 'workers', 0
local before = string.format('%.0f', clock(ARGV[1]) - 86400000000)
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', before)) do
  if redis.call('EXISTS', ARGV[1] .. 'held:' .. worker) == 0 then
    gone = gone + redis.call('ZREM', workers, worker)
  end
end
return gone
