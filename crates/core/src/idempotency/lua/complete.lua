-- KEYS: the request. ARGV: the token, the response, its time to live in milliseconds.
local known = redis.call('HMGET', KEYS[1], 't', 'r')
if known[1] ~= ARGV[1] or (known[2] and known[2] ~= ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'r', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
