SELECT member, standing FROM pumasi_board_standing
WHERE window = ?1 AND member IN (SELECT unhex(value) FROM json_each(?2))
