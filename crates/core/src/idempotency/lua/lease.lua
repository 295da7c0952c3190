-- KEYS: the request. ARGV: the token, how long its lease lasts from now, in milliseconds.
local known = redis.call('HMGET', KEYS[1], 't', 'r')
if known[1] ~= ARGV[1] or known[2] then
  return 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'l', string.format('%.0f', now + tonumber(ARGV[2])))
-- A request that is at work does not expire.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
