-- ?1: the window, ?2: its epoch, ?3: of each member its key and standing
INSERT INTO pumasi_board_standing (window, member, key, standing, since)
SELECT ?1, unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), ?2 FROM json_each(?3)
WHERE true
ON CONFLICT (window, member) DO UPDATE
SET key = excluded.key, standing = excluded.standing, since = excluded.since
