-- ARGV: the prefix, the limit, then the known definitions as names and versions. Ids of what may be taken, and since when.
local prefix, limit = ARGV[1], tonumber(ARGV[2])
local now = string.format('%.0f', clock(prefix))
local known = {}
for n = 3, #ARGV, 2 do known[ARGV[n] .. '\0' .. ARGV[n + 1]] = true end
local function wanted(id)
  local saga = redis.call('HMGET', prefix .. 'saga:' .. id, 'saga', 'definition')
  return saga[1] and known[saga[1] .. '\0' .. saga[2]]
end
local found = {}
local from, page = 0, math.max(limit, 100)
while #found < limit do
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'wake', '-inf', now, 'WITHSCORES', 'LIMIT', from, page)
  for n = 1, #due, 2 do
    if wanted(due[n]) then found[#found + 1] = due[n] .. due[n + 1] end
  end
  if #due < 2 * page then break end
  from = from + page
end
local lapsed = redis.call('ZRANGEBYSCORE', prefix .. 'workers', '-inf', now, 'WITHSCORES')
for n = 1, #lapsed, 2 do
  local count = 0
  for _, id in ipairs(redis.call('SMEMBERS', prefix .. 'held:' .. lapsed[n])) do
    if count >= limit then break end
    if wanted(id) then
      found[#found + 1] = id .. lapsed[n + 1]
      count = count + 1
    end
  end
end
return found
