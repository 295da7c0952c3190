-- ARGV: the prefix, then pairs of an item and a person
local answer = {}
for at = 2, #ARGV, 2 do
  answer[#answer + 1] = redis.call('HMGET', ARGV[1] .. ARGV[at], 'l', 'd', 'p' .. ARGV[at + 1])
end
return answer
