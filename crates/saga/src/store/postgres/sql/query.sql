FROM at, pumasi_saga AS s
WHERE s.id > $1
    AND ($2::text IS NULL OR saga = $2)
    AND ($3::text IS NULL OR key = $3)
    AND ($4::smallint[] IS NULL OR status = ANY ($4))
    AND ($5::text IS NULL OR step = $5)
    AND ($6::bigint IS NULL OR updated_at <= at.now - $6)
    -- The server estimates by its own time how many are so old, and compares with the statement's.
    AND ($9::bigint IS NULL OR created_at <= at.now - $9
        AND created_at <= (extract(epoch FROM statement_timestamp()) * 1000000)::bigint - $9)
    AND ($10::bigint IS NULL OR coalesce(since, updated_at) <= at.now - $10)
    AND ($8::bytea IS NULL OR holder = $8
        AND EXISTS (SELECT 1 FROM pumasi_saga_worker AS w WHERE w.id = holder AND w.until > at.now))
ORDER BY s.id
LIMIT $7
