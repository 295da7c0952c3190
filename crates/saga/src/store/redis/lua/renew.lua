-- ARGV: the prefix, the worker, the lease in microseconds
local now = clock(ARGV[1])
redis.call('ZADD', ARGV[1] .. 'workers', string.format('%.0f', now + ARGV[3]), ARGV[2])
return string.format('%.0f', now)
