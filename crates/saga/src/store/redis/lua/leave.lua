-- ARGV: the prefix, the worker. Who still holds something stays known, with a lease that is over: its sagas are found by that.
local workers, worker = ARGV[1] .. 'workers', ARGV[2]
if redis.call('EXISTS', ARGV[1] .. 'held:' .. worker) == 1 then
  redis.call('ZADD', workers, 'XX', string.format('%.0f', clock(ARGV[1])), worker)
  return 0
end
return redis.call('ZREM', workers, worker)
