-- KEYS: topics. ARGV: prefix, group, after, limit.
-- Answers of each dead letter its position, topic, id, key, attempts, kind, message, moment and stored form.
local base = ARGV[1] .. ':d:' .. ARGV[2]
local positions = redis.call('ZRANGE', base, '(' .. ARGV[3], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[4])
local out = {}
for i, letter in ipairs(read_many(base .. ':letters', positions)) do
  out[#out + 1] = positions[i]
  for _, part in ipairs(cmsgpack.unpack(letter)) do out[#out + 1] = part end
end
return out
