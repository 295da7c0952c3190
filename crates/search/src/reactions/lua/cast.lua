-- ARGV: the prefix, then of each vote: the item, the person, the reaction and the moment in 20 digits. An item is one hash: 'l' and
-- 'd' count, 'p' and the person hold the reaction and the moment.
for at = 2, #ARGV, 4 do
  local key, person, reaction, moment = ARGV[1] .. ARGV[at], 'p' .. ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local stands = redis.call('HGET', key, person)
  if not stands or string.sub(stands, 2) <= moment then
    local old = stands and string.sub(stands, 1, 1) or '0'
    if old ~= reaction then
      if old == '1' then redis.call('HINCRBY', key, 'l', -1) elseif old == '2' then redis.call('HINCRBY', key, 'd', -1) end
      if reaction == '1' then redis.call('HINCRBY', key, 'l', 1) elseif reaction == '2' then redis.call('HINCRBY', key, 'd', 1) end
    end
    redis.call('HSET', key, person, reaction .. moment)
  end
end
local answer = {}
for at = 2, #ARGV, 4 do
  answer[#answer + 1] = redis.call('HMGET', ARGV[1] .. ARGV[at], 'l', 'd', 'p' .. ARGV[at + 1])
end
return answer
