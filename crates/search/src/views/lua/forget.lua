-- ARGV: the prefix, the item.
for _, window in ipairs(redis.call('ZRANGE', ARGV[1] .. 'windows', 0, -1)) do
  redis.call('DEL', ARGV[1] .. 'marks:' .. window .. ':' .. ARGV[2])
end
return redis.call('HDEL', ARGV[1] .. 'totals', ARGV[2])
