-- $1: the board, $2: the window, $3: whether each mark is the board's, $4: members, $5: names
SELECT mark.scope = 0 AS of_board, mark.member, mark.name
FROM unnest($3::boolean[], $4::bytea[], $5::text[]) AS wanted (of_board, member, name)
JOIN pumasi_board_mark AS mark
  ON mark.board = $1 AND mark.scope = CASE WHEN wanted.of_board THEN 0 ELSE $2 END
 AND mark.member = wanted.member AND mark.name = wanted.name
