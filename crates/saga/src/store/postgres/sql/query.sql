FROM at, pumasi_saga AS s
WHERE s.id > $1
    AND ($2::text IS NULL OR saga = $2)
    AND ($3::text IS NULL OR key = $3)
    AND ($4::smallint[] IS NULL OR status = ANY ($4))
    AND ($5::text IS NULL OR step = $5)
    AND ($6::bigint IS NULL OR updated_at <= at.now - $6)
    AND ($8::bytea IS NULL OR holder = $8
        AND EXISTS (SELECT 1 FROM pumasi_saga_worker AS w WHERE w.id = holder AND w.until > at.now))
ORDER BY s.id
LIMIT $7
