-- $12: how many signals were consumed
UPDATE pumasi_saga
SET definition = $2, epoch = $3, holder = $4,
    wake = CASE
        WHEN $4::bytea IS NOT NULL THEN NULL
        WHEN waiting > $12::integer AND $9::smallint <> 4 THEN least(coalesce($5::bigint, $8::bigint), $8)
        ELSE $5
    END,
    due = $5, version = $6, token = $7, updated_at = $8, status = $9, step = $10, reason = $11,
    waiting = waiting - $12
WHERE no = $1
RETURNING waiting
