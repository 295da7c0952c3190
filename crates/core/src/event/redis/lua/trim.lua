-- KEYS: topics. ARGV: prefix, topic, number, how many groups there were. Answers how many events went.
local prefix, topic, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- A group that has come since then may need them.
if redis.call('HLEN', prefix .. ':c:' .. topic) ~= tonumber(ARGV[4]) then return 0 end
local last = number_of(redis.call('HGET', KEYS[1], topic))
return redis.call('XTRIM', prefix .. ':t:' .. topic, 'MAXLEN', text(last - limit))
