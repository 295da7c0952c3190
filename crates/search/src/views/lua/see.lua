-- ARGV: the prefix, the item, the window, the mark, for how many milliseconds the window's marks are needed, and now, in
-- milliseconds. The marks of an item in a window are a set of whole numbers, which is 8 bytes a viewer as long as it is small. Which
-- windows have marks, and until when, is one sorted set, by which an item is forgotten.
local marks, total = ARGV[1] .. 'marks:' .. ARGV[3] .. ':' .. ARGV[2], ARGV[1] .. 'totals'
local new = redis.call('SADD', marks, ARGV[4])
if new == 1 then
  redis.call('PEXPIRE', marks, ARGV[5])
  if redis.call('SCARD', marks) == 1 then
    local windows, ends = ARGV[1] .. 'windows', tonumber(ARGV[6]) + tonumber(ARGV[5])
    redis.call('ZREMRANGEBYSCORE', windows, '-inf', ARGV[6])
    if ends > tonumber(redis.call('ZSCORE', windows, ARGV[3]) or '0') then
      redis.call('ZADD', windows, string.format('%.0f', ends), ARGV[3])
    end
  end
  return { 1, redis.call('HINCRBY', total, ARGV[2], 1) }
end
return { 0, tonumber(redis.call('HGET', total, ARGV[2]) or '0') }
