-- ARGV: the prefix, the item, the window, the mark, for how many milliseconds the window's marks are needed. The marks of an item
-- in a window are a set of whole numbers, which is 8 bytes a viewer as long as it is small.
local marks, total = ARGV[1] .. 'marks:' .. ARGV[3] .. ':' .. ARGV[2], ARGV[1] .. 'totals'
local new = redis.call('SADD', marks, ARGV[4])
if new == 1 then
  redis.call('PEXPIRE', marks, ARGV[5])
  return { 1, redis.call('HINCRBY', total, ARGV[2], 1) }
end
return { 0, tonumber(redis.call('HGET', total, ARGV[2]) or '0') }
