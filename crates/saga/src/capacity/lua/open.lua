-- ARGV: the prefix, the pool, how many places
local key = ARGV[1] .. 'pool:' .. ARGV[2]
redis.call('HSET', key, 'total', ARGV[3])
for _, field in ipairs({ 'used', 'last', 'rev' }) do redis.call('HSETNX', key, field, '0') end
redis.call('HINCRBY', key, 'rev', 1)
return 1
