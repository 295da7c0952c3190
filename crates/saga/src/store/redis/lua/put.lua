-- ARGV: the prefix, the outbox's prefix, then of each saga: its id, the revision that it was read with (empty: it was not there),
-- its row (empty: it goes), the definition's name and version, when it wakes, who holds it, when it ended (empty: not),
-- how many events it has, and these as shards and bodies. Tells of each whether it still had that revision; those that had not
-- are left as they are.
local prefix, outbox, now = ARGV[1], ARGV[2], server_time()
local at, done = 3, {}
local function place(key, score, id)
  if score == '' then
    redis.call('ZREM', key, id)
  else
    redis.call('ZADD', key, score, id)
  end
end
while at < #ARGV do
  local id, rev, row, name, version = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local wake, holder, ended, events = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7], tonumber(ARGV[at + 8])
  local key = prefix .. 'saga:' .. id
  local is = redis.call('HMGET', key, 'rev', 'holder')
  if (is[1] or '') == rev then
    if is[2] and is[2] ~= '' and is[2] ~= holder then
      redis.call('SREM', prefix .. 'held:' .. is[2], id)
    end
    if row == '' then
      redis.call('DEL', key)
      redis.call('ZREM', prefix .. 'ids', id)
      wake, ended, holder = '', '', ''
      if is[2] and is[2] ~= '' then redis.call('SREM', prefix .. 'held:' .. is[2], id) end
    else
      local next = string.format('%.0f', redis.call('INCR', prefix .. 'revisions'))
      redis.call('HSET', key, 'rev', next, 'row', row, 'saga', name, 'definition', version, 'holder', holder)
      if not is[1] then redis.call('ZADD', prefix .. 'ids', 0, id) end
      if holder ~= '' then
        redis.call('SADD', prefix .. 'held:' .. holder, id)
        -- Everybody who holds something is known, if only with a lease that was never begun.
        redis.call('ZADD', prefix .. 'workers', 'NX', '-1000000000000000', holder)
      end
    end
    place(prefix .. 'wake', wake, id)
    place(prefix .. 'ended', ended, id)
    outbox_append(outbox, now, at + 9, events)
    done[#done + 1] = 1
  else
    done[#done + 1] = 0
  end
  at = at + 9 + 2 * events
end
return done
