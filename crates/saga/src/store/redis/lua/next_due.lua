-- ARGV: the prefix
local first = redis.call('ZRANGE', ARGV[1] .. 'wake', 0, 0, 'WITHSCORES')[2]
local workers = redis.call('ZRANGE', ARGV[1] .. 'workers', 0, -1, 'WITHSCORES')
for n = 1, #workers, 2 do
  if redis.call('EXISTS', ARGV[1] .. 'held:' .. workers[n]) == 1 then
    if not first or tonumber(workers[n + 1]) < tonumber(first) then first = workers[n + 1] end
    break
  end
end
return first and string.format('%.0f', tonumber(first))
