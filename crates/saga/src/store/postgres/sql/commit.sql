-- Commits of different sagas: those that make their sagas ($1 to $12), those that change them ($13 to $29), and the signals that the
-- latter consumed ($30). Returns those that found their rows as they should be, by their numbers or, where they are new, by their ids,
-- and the time. Each column is unnested for itself in a list of columns, which keeps no copy of it, as a function in FROM would. Nothing here joins what was sent with what was made: for a thousand commits that would be a million comparisons.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), made AS (
    INSERT INTO pumasi_saga
        (created_at, id, definition, epoch, holder, due, tail_1, version, token, updated_at, status, since, loose, step,
        reason, saga, key)
    SELECT now, id, definition, epoch, worker, due, record, 1, token, now, status, now, 1, step, reason, saga, key
    FROM at, (
        SELECT unnest($1::bytea[]) AS id, unnest($2::text[]) AS saga, unnest($3::integer[]) AS definition, unnest($4::text[]) AS key,
            unnest($5::smallint[]) AS status, unnest($6::text[]) AS step, unnest($7::bigint[]) AS due, unnest($8::text[]) AS reason,
            unnest($9::bytea[]) AS worker, unnest($10::bigint[]) AS epoch, unnest($11::bigint[]) AS token,
            unnest($12::bytea[]) AS record
    ) AS i
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), changed AS (
    UPDATE pumasi_saga AS s
    SET definition = i.definition, epoch = i.epoch, holder = CASE WHEN i.holds THEN i.worker END,
        wake = CASE
            WHEN i.holds THEN NULL
            WHEN s.waiting > i.consumes AND i.status <> 4 THEN least(coalesce(i.due, at.now), at.now)
            ELSE i.due
        END,
        waiting = s.waiting - i.consumes, due = i.due, version = i.version, token = i.token, updated_at = at.now,
        status = i.status, step = i.step, reason = i.reason,
        since = CASE WHEN s.status = i.status AND s.step = i.step THEN coalesce(s.since, s.updated_at) ELSE at.now END,
        loose = CASE
            WHEN length(i.record) = 0 THEN s.loose
            WHEN i.replaces OR s.loose = 4 THEN 1
            WHEN s.loose = 3 OR length(s.tail_1) + length(s.tail_2) + length(s.tail_3) + length(i.record) > 1000 THEN 4
            ELSE s.loose + 1
        END,
        tail_1 = CASE WHEN length(i.record) > 0 AND (i.replaces OR s.loose = 4) THEN i.record ELSE s.tail_1 END,
        tail_2 = CASE
            WHEN length(i.record) = 0 THEN s.tail_2 WHEN i.replaces OR s.loose = 4 THEN '' WHEN s.loose = 1 THEN i.record ELSE s.tail_2
        END,
        tail_3 = CASE
            WHEN length(i.record) = 0 THEN s.tail_3 WHEN i.replaces OR s.loose = 4 THEN '' WHEN s.loose = 2 THEN i.record ELSE s.tail_3
        END,
        tail_4 = CASE
            WHEN length(i.record) = 0 THEN s.tail_4 WHEN i.replaces OR s.loose = 4 THEN '' WHEN s.loose = 3 THEN i.record ELSE s.tail_4
        END
    FROM at, (
        SELECT unnest($13::integer[]) AS n, unnest($14::bytea[]) AS id, unnest($15::integer[]) AS definition,
            unnest($16::smallint[]) AS status, unnest($17::text[]) AS step, unnest($18::bigint[]) AS due,
            unnest($19::text[]) AS reason, unnest($20::bytea[]) AS worker, unnest($21::boolean[]) AS takes,
            unnest($22::bigint[]) AS epoch, unnest($23::bigint[]) AS expected, unnest($24::bigint[]) AS version,
            unnest($25::bigint[]) AS token, unnest($26::bytea[]) AS record, unnest($27::boolean[]) AS replaces,
            unnest($28::boolean[]) AS holds, unnest($29::integer[]) AS consumes
    ) AS i
    WHERE s.id = i.id AND s.version = i.expected AND s.epoch = CASE WHEN i.takes THEN i.epoch - 1 ELSE i.epoch END
        AND (
            s.holder = i.worker
            OR i.takes AND (
                s.holder IS NULL
                OR NOT EXISTS (SELECT 1 FROM pumasi_saga_worker AS w WHERE w.id = s.holder AND w.until > at.now)
            )
        )
    RETURNING s.no, i.n, i.version, i.replaces,
        CASE WHEN s.loose = 4 AND length(i.record) > 0 THEN s.tail_1 || s.tail_2 || s.tail_3 || s.tail_4 END AS records
), replaced AS (
    DELETE FROM pumasi_saga_record AS r USING changed AS c WHERE c.replaces AND r.saga = c.no AND r.version < c.version
), recorded AS (
    INSERT INTO pumasi_saga_record (saga, version, record)
    SELECT no, version, records FROM changed WHERE records IS NOT NULL
), consumed AS (
    -- Not a join: the signals are few, and to look for those of each commit would cost more than the commit.
    DELETE FROM pumasi_saga_signal
    WHERE seq = ANY ($30::bigint[]) AND (saga IN (SELECT no FROM changed)) IS TRUE
)
SELECT now, n, NULL::bytea AS id FROM changed, at
UNION ALL
SELECT now, NULL, id FROM made, at
