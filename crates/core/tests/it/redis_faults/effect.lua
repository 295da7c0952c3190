-- KEYS: log, doubles, settled, violations. ARGV: id, "key version". Does the effect of an event once; notes if it was
-- handed out although its acknowledgement had been reported.
if redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 1 then redis.call('INCR', KEYS[4]) end
if redis.call('SADD', KEYS[1] .. ':ids', ARGV[1]) == 1 then
  redis.call('RPUSH', KEYS[1], ARGV[2])
else
  redis.call('INCR', KEYS[2])
end
return 1
