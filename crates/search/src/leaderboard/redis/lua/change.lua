-- ARGV: after the board's: what is to be done, and its arguments.
local what = ARGV[4]
local function delete(no)
  for _, each in ipairs(redis.call('SMEMBERS', prefix .. no .. ':windows')) do
    for _, key in pairs(window(no, each)) do redis.call('UNLINK', key) end
  end
  redis.call('UNLINK', prefix .. no .. ':windows', prefix .. no .. ':closed', prefix .. no .. ':sources',
    prefix .. no .. ':forgotten')
end
if what == 'replace' then
  local old = redis.call('HGET', prefix .. 'board:' .. name, 'no')
  if old then delete(old) end
  redis.call('DEL', prefix .. 'board:' .. name)
  if redis.call('EXISTS', prefix .. 'board:' .. ARGV[5]) == 1 then
    redis.call('RENAME', prefix .. 'board:' .. ARGV[5], prefix .. 'board:' .. name)
  end
  return 1
end
local no, other = find(true)
if other then return 'other rules' end
local windows, closed = prefix .. no .. ':windows', prefix .. no .. ':closed'
if what == 'close' then
  redis.call('SADD', windows, ARGV[5])
  redis.call('SADD', closed, ARGV[5])
elseif what == 'snapshot' then
  if redis.call('SISMEMBER', windows, ARGV[6]) == 1 then return 0 end
  local from, to = window(no, ARGV[5]), window(no, ARGV[6])
  for _, each in ipairs({ 'order', 'distinct', 'keys' }) do
    redis.call('COPY', from[each], to[each])
  end
  redis.call('SADD', windows, ARGV[5], ARGV[6])
  redis.call('SADD', closed, ARGV[6])
elseif what == 'forget' then
  for _, key in pairs(window(no, ARGV[5])) do redis.call('UNLINK', key) end
  redis.call('SREM', closed, ARGV[5])
  -- From here on no source counts in it that did, whether or not they are swept.
  if redis.call('SREM', windows, ARGV[5]) == 1 then redis.call('HINCRBY', prefix .. no .. ':forgotten', ARGV[5], 1) end
elseif what == 'sweep' then
  -- A part of the sources, of which those go that do not count any more; answers where to go on.
  local found = redis.call('HSCAN', prefix .. no .. ':sources', ARGV[5], 'COUNT', 512)
  for at = 1, #found[2], 2 do
    if not counts(no, found[2][at]) then redis.call('HDEL', prefix .. no .. ':sources', found[2][at]) end
  end
  return found[1]
end
return 1
