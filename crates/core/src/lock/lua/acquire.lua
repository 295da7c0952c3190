-- KEYS: the lock, the last token. ARGV: the owner, the lease in milliseconds.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return false
end
-- Microseconds since 1970 or one more than the last: grows even where the server lost its data, as long as its clock
-- does not go back. A double holds them exactly until the year 2255.
local time = redis.call('TIME')
local token = tonumber(redis.call('GET', KEYS[2]) or '0') + 1
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
if token < clock then
  token = clock
end
redis.call('SET', KEYS[2], string.format('%.0f', token))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return token
