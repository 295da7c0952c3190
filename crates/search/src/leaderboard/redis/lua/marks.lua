-- ARGV: after the board's: a window, a member, what the fields of its marks begin with, and the field of a source. Answers: the window in
-- which that counts, or else the one that was given; whether it counts; whether that window is closed; the member's standing; and the
-- fields of its marks there.
local no, other = find(true)
if other then return 'other rules' end
local here, counted = ARGV[4], 0
if counts(no, ARGV[7]) then
  here, counted = string.match(redis.call('HGET', prefix .. no .. ':sources', ARGV[7]), '^[^:]*'), 1
end
local w = window(no, here)
local answer = { here, counted, redis.call('SISMEMBER', prefix .. no .. ':closed', here),
  redis.call('HGET', w.standings, ARGV[5]) }
-- What follows is UTF-8, in which there is no such byte.
for _, field in ipairs(redis.call('ZRANGEBYLEX', w.marks, '[' .. ARGV[6], '(' .. ARGV[6] .. '\255')) do
  answer[#answer + 1] = field
end
return answer
