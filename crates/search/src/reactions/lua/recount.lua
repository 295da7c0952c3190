-- ARGV: the prefix, then items. The counts of each are those of the people whose reactions stand.
local answer = {}
for at = 2, #ARGV do
  local key, counts = ARGV[1] .. ARGV[at], { ['1'] = 0, ['2'] = 0 }
  local fields = redis.call('HGETALL', key)
  for place = 1, #fields, 2 do
    local reaction = string.sub(fields[place + 1], 1, 1)
    if string.sub(fields[place], 1, 1) == 'p' and counts[reaction] then counts[reaction] = counts[reaction] + 1 end
  end
  if #fields > 0 then redis.call('HSET', key, 'l', counts['1'], 'd', counts['2']) end
  answer[#answer + 1] = { counts['1'], counts['2'], false }
end
return answer
