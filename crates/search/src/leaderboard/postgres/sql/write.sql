-- $1: the board, $2: the window, $3: members, $4: their keys, $5: their standings, $6, $7, $8: new marks as in marks.sql
WITH kept AS (
    INSERT INTO pumasi_board_standing ("window", member, key, standing)
    SELECT $2, changed.* FROM unnest($3::bytea[], $4::bytea[], $5::bytea[]) AS changed
    ON CONFLICT ("window", member) DO UPDATE SET key = excluded.key, standing = excluded.standing
)
INSERT INTO pumasi_board_mark (board, scope, member, name, "window")
SELECT $1, CASE WHEN mark.of_board THEN 0 ELSE $2 END, mark.member, mark.name, $2
FROM unnest($6::boolean[], $7::bytea[], $8::text[]) AS mark (of_board, member, name)
