-- ARGV: the prefix, the worker, the lease in microseconds
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', ARGV[1] .. 'workers', string.format('%.0f', now + ARGV[3]), ARGV[2])
return string.format('%.0f', now)
