-- Before the scripts. ARGV: the prefix, the board's name, its rules.
local prefix, name, rules = ARGV[1], ARGV[2], ARGV[3]
-- The number of the board; nil if there is none, or if it has other rules, which is answered.
local function find(make)
  local meta = redis.call('HMGET', prefix .. 'board:' .. name, 'no', 'rules')
  if meta[1] then
    if meta[2] ~= rules then return nil, true end
    return meta[1]
  end
  if not make then return nil end
  local no = string.format('%.0f', redis.call('INCR', prefix .. 'boards'))
  redis.call('HSET', prefix .. 'board:' .. name, 'no', no, 'rules', rules)
  return no
end
-- The keys of a window: the order, the different keys in order, and of each member its key and its standing; marks, in order, so that
-- those of a member are beside one another.
local function window(no, name)
  local of = prefix .. no .. ':' .. name
  return { order = of .. ':order', distinct = of .. ':distinct', keys = of .. ':keys', standings = of .. ':standings',
    marks = of .. ':marks' }
end
-- What stands at a source that counts in a window: its name, and how often that name was forgotten, if it was.
local function life(no, name)
  local times = redis.call('HGET', prefix .. no .. ':forgotten', name)
  return times and name .. ':' .. times or name
end
-- Tells whether a source counts: it does not where its window is forgotten.
local function counts(no, source)
  local window = redis.call('HGET', prefix .. no .. ':sources', source)
  return window and window == life(no, string.match(window, '^[^:]*'))
end
