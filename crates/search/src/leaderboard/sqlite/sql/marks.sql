-- ?1: the board, ?2: the window, ?3: of each mark whether it is the board's, the member and the name
SELECT mark.scope = 0, mark.member, mark.name
FROM json_each(?3) AS wanted CROSS JOIN pumasi_board_mark AS mark
WHERE mark.board = ?1 AND mark.scope = CASE WHEN wanted.value ->> 0 THEN 0 ELSE ?2 END
  AND mark.member = unhex(wanted.value ->> 1) AND mark.name = wanted.value ->> 2
