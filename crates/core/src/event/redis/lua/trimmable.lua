-- KEYS: topics. ARGV: prefix, topic, now, retention in microseconds, length, limit.
-- Answers the number up to which the topic's events may go (0: none), how many groups read it, and these groups.
-- Numbers have no gaps, so that they tell lengths.
local prefix, topic, now = ARGV[1], ARGV[2], clock(ARGV[3])
local stream = prefix .. ':t:' .. topic
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if not first then return { 0, 0 } end
first = number_of(first[1])
local last = number_of(redis.call('HGET', KEYS[1], topic))
local cutoff = math.max(0, math.floor((now - tonumber(ARGV[4])) / 1000))
local young = redis.call('XRANGE', stream, text(cutoff), '+', 'COUNT', 1)[1]
local limit = young and number_of(young[1]) - 1 or last
limit = math.max(limit, last - tonumber(ARGV[5]))
local groups = {}
local cursors = redis.call('HGETALL', prefix .. ':c:' .. topic)
for i = 1, #cursors, 2 do
  groups[#groups + 1] = cursors[i]
  limit = math.min(limit, number_of(cursors[i + 1]))
end
limit = math.min(limit, first - 1 + tonumber(ARGV[6]))
if limit < first then limit = 0 end
return { limit, #groups, unpack(groups) }
