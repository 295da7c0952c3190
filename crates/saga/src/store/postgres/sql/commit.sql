-- Commits of different sagas, one a row; $20: the signals that they consumed. Returns those that found their rows as they
-- should be, and the time.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), input AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::integer[], $2::bytea[], $3::text[], $4::integer[], $5::text[], $6::smallint[], $7::text[], $8::bigint[],
        $9::text[], $10::bytea[], $11::boolean[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
        $16::bytea[], $17::boolean[], $18::boolean[], $19::integer[]
    ) AS input (
        n, id, saga, definition, key, status, step, due, reason, worker, takes, epoch, expected, version, token, record,
        replaces, holds, consumes
    )
), made AS (
    INSERT INTO pumasi_saga
        (created_at, id, definition, epoch, holder, due, version, token, updated_at, status, step, reason, saga, key)
    SELECT now, id, definition, epoch, worker, due, version, token, now, status, step, reason, saga, key
    FROM input, at
    WHERE expected = 0
    ON CONFLICT (id) DO NOTHING
    RETURNING no, id
), changed AS (
    UPDATE pumasi_saga AS s
    SET definition = i.definition, epoch = i.epoch, holder = CASE WHEN i.holds THEN i.worker END,
        wake = CASE
            WHEN i.holds THEN NULL
            WHEN s.waiting > i.consumes AND i.status <> 4 THEN least(coalesce(i.due, at.now), at.now)
            ELSE i.due
        END,
        waiting = s.waiting - i.consumes, due = i.due, version = i.version, token = i.token, updated_at = at.now,
        status = i.status, step = i.step, reason = i.reason
    FROM input AS i, at
    WHERE s.id = i.id AND i.expected > 0 AND s.version = i.expected
        AND s.epoch = CASE WHEN i.takes THEN i.epoch - 1 ELSE i.epoch END
        AND (
            s.holder = i.worker
            OR i.takes AND (
                s.holder IS NULL
                OR NOT EXISTS (SELECT 1 FROM pumasi_saga_worker AS w WHERE w.id = s.holder AND w.until > at.now)
            )
        )
    RETURNING s.no, i.n, i.version, i.record, i.replaces
), replaced AS (
    DELETE FROM pumasi_saga_record AS r USING changed AS c WHERE c.replaces AND r.saga = c.no AND r.version < c.version
), recorded AS (
    INSERT INTO pumasi_saga_record (saga, version, record)
    SELECT no, version, record FROM changed WHERE length(record) > 0
    UNION ALL
    SELECT made.no, i.version, i.record FROM made JOIN input AS i ON i.id = made.id
), consumed AS (
    DELETE FROM pumasi_saga_signal AS g
    USING changed AS c
    WHERE g.seq = ANY ($20::bigint[]) AND g.saga = c.no
)
SELECT n, now FROM changed, at
UNION ALL
SELECT i.n, now FROM made JOIN input AS i ON i.id = made.id, at
