-- ARGV: after the board's: the window, whether it was closed, how many members changed, of each the member, the standing that it
-- was read with (empty: none), the new one and the key (empty: not ranked); then of each new mark whether it is the board's, or '-'
-- for one of the window's that goes, and its field. Writes all if everything is as it was read, or nothing; tells which.
local no, other = find(true)
if other then return 'other rules' end
local w = window(no, ARGV[4])
if tostring(redis.call('SISMEMBER', prefix .. no .. ':closed', ARGV[4])) ~= ARGV[5] then return 0 end
local last = 6 + 4 * tonumber(ARGV[6])
for at = 7, last, 4 do
  if (redis.call('HGET', w.standings, ARGV[at]) or '') ~= ARGV[at + 1] then return 0 end
end
for at = last + 1, #ARGV, 2 do
  local set = 0
  if ARGV[at] == '1' then
    set = counts(no, ARGV[at + 1]) and 1 or 0
  elseif ARGV[at] == '0' then
    set = redis.call('ZSCORE', w.marks, ARGV[at + 1]) and 1 or 0
  end
  if set == 1 then return 0 end
end
for at = 7, last, 4 do
  local member, key = ARGV[at], ARGV[at + 3]
  redis.call('HSET', w.standings, member, ARGV[at + 2])
  local old = redis.call('HGET', w.keys, member) or ''
  if old ~= key then
    if old ~= '' then
      redis.call('ZREM', w.order, old .. member)
      -- Keys are of one length, and two different ones have no entry of the other between them.
      local next = redis.call('ZRANGEBYLEX', w.order, '[' .. old, '+', 'LIMIT', 0, 1)
      if not next[1] or string.sub(next[1], 1, #old) ~= old then redis.call('ZREM', w.distinct, old) end
    end
    if key ~= '' then
      redis.call('ZADD', w.order, 0, key .. member)
      redis.call('ZADD', w.distinct, 0, key)
      redis.call('HSET', w.keys, member, key)
    else
      redis.call('HDEL', w.keys, member)
    end
  end
end
local here = life(no, ARGV[4])
for at = last + 1, #ARGV, 2 do
  if ARGV[at] == '1' then
    redis.call('HSET', prefix .. no .. ':sources', ARGV[at + 1], here)
  elseif ARGV[at] == '-' then
    redis.call('ZREM', w.marks, ARGV[at + 1])
  else
    redis.call('ZADD', w.marks, 0, ARGV[at + 1])
  end
end
redis.call('SADD', prefix .. no .. ':windows', ARGV[4])
return 1
