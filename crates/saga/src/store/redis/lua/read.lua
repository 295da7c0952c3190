-- ARGV: the prefix, ids. The time, the workers with the ends of their leases, and of each saga its revision and its row.
local rows = {}
for n = 2, #ARGV do
  local row = redis.call('HMGET', ARGV[1] .. 'saga:' .. ARGV[n], 'rev', 'row')
  rows[n - 1] = row[1] and row or false
end
return {
  string.format('%.0f', clock(ARGV[1])),
  redis.call('ZRANGE', ARGV[1] .. 'workers', 0, -1, 'WITHSCORES'),
  rows,
}
