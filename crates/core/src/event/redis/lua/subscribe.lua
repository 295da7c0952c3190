-- KEYS: topics. ARGV: prefix, group, start ("earliest", "latest" or a moment in milliseconds), then the topics.
-- A group has taken in everything up to its cursor; a cursor that is there is not moved.
local prefix, group, start = ARGV[1], ARGV[2], ARGV[3]
for i = 4, #ARGV do
  local keys = keys_of(prefix, group, ARGV[i])
  local cursor = redis.call('HGET', KEYS[1], ARGV[i]) or '0-0'
  if start ~= 'latest' then
    local from = start == 'earliest' and '-' or start
    local first = redis.call('XRANGE', keys.stream, from, '+', 'COUNT', 1)[1]
    if first then
      cursor = string.match(first[1], '^%d+') .. '-' .. text(number_of(first[1]) - 1)
    end
  end
  redis.call('HSETNX', keys.cursors, group, cursor)
  -- A topic is known from its first group on, so that the group can be forgotten before the first event.
  redis.call('HSETNX', KEYS[1], ARGV[i], '0-0')
  -- Small hashes and sorted sets are lists to Redis, which it reads through for each field: four times the time of a
  -- table here, where hundreds come and go at once. A long entry makes them tables for good; it is no lane.
  redis.call('HSET', keys.lanes, NO_LANE, string.rep('-', 100))
  redis.call('ZADD', keys.due, '+inf', NO_LANE .. string.rep('-', 100))
end
return 1
