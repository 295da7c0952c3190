-- KEYS: the request, the last token. ARGV: the fingerprint, the lease and the time to live in milliseconds.
-- A request is a hash: f fingerprint, t token, l the end of the lease in milliseconds since 1970, r the response.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('HMGET', KEYS[1], 'f', 'l', 'r')
if known[1] then
  if known[1] ~= ARGV[1] then
    return {'other'}
  end
  if known[3] then
    return {'finished', known[3]}
  end
  if now < tonumber(known[2]) then
    return {'running'}
  end
end
-- Microseconds since 1970 or one more than the last: grows even where the server lost its data, as long as its clock
-- does not go back. A double holds them exactly until the year 2255.
local token = tonumber(redis.call('GET', KEYS[2]) or '0') + 1
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
if token < clock then
  token = clock
end
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', text, 'l', string.format('%.0f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'execute', text}
