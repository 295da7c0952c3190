-- ?1: the window, ?2: its epoch, ?3: the members whose rows are about to change
INSERT INTO pumasi_board_past (window, member, key, since, until)
SELECT window, member, key, since, ?2 FROM pumasi_board_standing
WHERE window = ?1 AND since < ?2 AND key IS NOT NULL
  AND member IN (SELECT unhex(value ->> 0) FROM json_each(?3))
