-- ?1: the board, ?2: the window, ?3: as in marks.sql
INSERT INTO pumasi_board_mark (board, scope, member, name, window)
SELECT ?1, CASE WHEN value ->> 0 THEN 0 ELSE ?2 END, unhex(value ->> 1), value ->> 2, ?2 FROM json_each(?3)
