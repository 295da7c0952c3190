-- KEYS: topics. ARGV: prefix, group, now, fence, then topic and key of each lane that a fetch took for nobody.
local prefix, group, now, fence = ARGV[1], ARGV[2], clock(ARGV[3]), ARGV[4]
for at = 5, #ARGV, 2 do
  local keys = keys_of(prefix, group, ARGV[at])
  dissolve(keys, fence)
  local record = redis.call('HGET', keys.lanes, ARGV[at + 1])
  if record and string.match(record, '^%d+') == fence then
    untake(keys, ARGV[at + 1], record, now)
    wake(prefix, ARGV[at])
  end
end
return 1
