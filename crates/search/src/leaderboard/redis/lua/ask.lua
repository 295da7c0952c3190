-- ARGV: after the board's: the window, the length of a key, and what is asked: 'places', members; 'list', the first place and the
-- one after the last; 'around', a member and how many on each side.
local no, other = find(false)
if other then return 'other rules' end
if not no then return false end
local w, length, what = window(no, ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local function less(key) return redis.call('ZLEXCOUNT', w.order, '-', '(' .. key) end
local function until_after(key)
  -- The least string that is greater than all that begin with the key.
  for at = #key, 1, -1 do
    local byte = string.byte(key, at)
    if byte < 255 then return less(string.sub(key, 1, at - 1) .. string.char(byte + 1)) end
  end
  return redis.call('ZCARD', w.order)
end
local function place(member)
  local key = redis.call('HGET', w.keys, member)
  if not key then return false end
  return { key, redis.call('ZRANK', w.order, key .. member), less(key), until_after(key),
    redis.call('ZLEXCOUNT', w.distinct, '-', '(' .. key) }
end
local function list(from, till)
  local entries = {}
  local count = redis.call('ZCARD', w.order)
  from, till = math.min(from, count), math.min(till, count)
  if till > from then
    entries = redis.call('ZRANGE', w.order, string.format('%.0f', from), string.format('%.0f', till - 1))
  end
  local answer = { from, count, 0, 0, 0 }
  if entries[1] then
    local first, last = string.sub(entries[1], 1, length), string.sub(entries[#entries], 1, length)
    answer[3], answer[4] = less(first), until_after(last)
    answer[5] = redis.call('ZLEXCOUNT', w.distinct, '-', '(' .. first)
  end
  answer[6] = entries
  return answer
end
if what == 'places' then
  local places = {}
  for at = 7, #ARGV do places[#places + 1] = place(ARGV[at]) end
  return places
elseif what == 'list' then
  return list(tonumber(ARGV[7]), tonumber(ARGV[8]))
end
local own = place(ARGV[7])
if not own then return false end
local sides = tonumber(ARGV[8])
return { own[2], list(math.max(own[2] - sides, 0), own[2] + sides + 1) }
