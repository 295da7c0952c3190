-- $12: how many signals were consumed, $13: the record, $14: whether it replaces those before it. Returns the records that are to be
-- moved from the row.
UPDATE pumasi_saga
SET definition = $2, epoch = $3, holder = $4,
    wake = CASE
        WHEN $4::bytea IS NOT NULL THEN NULL
        WHEN waiting > $12::integer AND $9::smallint <> 4 THEN least(coalesce($5::bigint, $8::bigint), $8)
        ELSE $5
    END,
    due = $5, version = $6, token = $7, updated_at = $8, status = $9, step = $10, reason = $11,
    since = CASE WHEN status = $9 AND step = $10 THEN coalesce(since, updated_at) ELSE $8 END,
    waiting = waiting - $12,
    loose = CASE
        WHEN length($13::bytea) = 0 THEN loose
        WHEN $14::boolean OR loose = 4 THEN 1
        WHEN loose = 3 OR length(tail_1) + length(tail_2) + length(tail_3) + length($13::bytea) > 1000 THEN 4
        ELSE loose + 1
    END,
    tail_1 = CASE WHEN length($13::bytea) > 0 AND ($14::boolean OR loose = 4) THEN $13::bytea ELSE tail_1 END,
    tail_2 = CASE
        WHEN length($13::bytea) = 0 THEN tail_2 WHEN $14::boolean OR loose = 4 THEN '' WHEN loose = 1 THEN $13::bytea ELSE tail_2
    END,
    tail_3 = CASE
        WHEN length($13::bytea) = 0 THEN tail_3 WHEN $14::boolean OR loose = 4 THEN '' WHEN loose = 2 THEN $13::bytea ELSE tail_3
    END,
    tail_4 = CASE
        WHEN length($13::bytea) = 0 THEN tail_4 WHEN $14::boolean OR loose = 4 THEN '' WHEN loose = 3 THEN $13::bytea ELSE tail_4
    END
WHERE no = $1
RETURNING waiting, CASE WHEN loose = 4 AND length($13) > 0 THEN tail_1 || tail_2 || tail_3 || tail_4 END
