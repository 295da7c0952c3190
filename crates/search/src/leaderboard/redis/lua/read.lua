-- ARGV: after the board's: the window, how many members, the members, then of each mark whether it is the board's, and its
-- field. Answers: whether the window is closed, the standings, and whether each mark is set.
local no, other = find(true)
if other then return 'other rules' end
local w = window(no, ARGV[4])
local members = tonumber(ARGV[5])
local answer = { redis.call('SISMEMBER', prefix .. no .. ':closed', ARGV[4]) }
for at = 6, 5 + members do
  answer[#answer + 1] = redis.call('HGET', w.standings, ARGV[at])
end
for at = 6 + members, #ARGV, 2 do
  if ARGV[at] == '1' then
    answer[#answer + 1] = counts(no, ARGV[at + 1]) and 1 or 0
  else
    answer[#answer + 1] = redis.call('ZSCORE', w.marks, ARGV[at + 1]) and 1 or 0
  end
end
return answer
