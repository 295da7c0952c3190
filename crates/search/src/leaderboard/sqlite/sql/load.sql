-- ?1: the window, ?2: the epoch
SELECT member, key FROM pumasi_board_standing WHERE window = ?1 AND since <= ?2 AND key IS NOT NULL
UNION ALL
SELECT member, key FROM pumasi_board_past WHERE window = ?1 AND since <= ?2 AND until > ?2
