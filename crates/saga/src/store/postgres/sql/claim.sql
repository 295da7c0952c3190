-- $1: who, $2 and $3: the known definitions, $4: the limit. Rows that another claim has locked are left to it.
, at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), known AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::integer[]) AS known (saga, definition)
), due AS MATERIALIZED (
    SELECT no, id, wake AS since FROM pumasi_saga AS s
    WHERE wake <= (SELECT now FROM at) AND (saga, definition) IN (SELECT saga, definition FROM known)
    ORDER BY wake, id LIMIT $4
    FOR UPDATE OF s SKIP LOCKED
), lapsed AS MATERIALIZED (
    SELECT s.no, s.id, l.until AS since FROM leases AS l JOIN pumasi_saga AS s ON s.holder = l.holder
    WHERE l.until <= (SELECT now FROM at) AND (saga, definition) IN (SELECT saga, definition FROM known)
    ORDER BY l.until, s.id LIMIT $4
    FOR UPDATE OF s SKIP LOCKED
), chosen AS (
    SELECT * FROM (SELECT * FROM due UNION ALL SELECT * FROM lapsed) AS found ORDER BY since, id LIMIT $4
), taken AS (
    UPDATE pumasi_saga AS s SET epoch = epoch + 1, holder = $1, wake = NULL
    FROM chosen WHERE s.no = chosen.no
    RETURNING s.no, chosen.since, chosen.id
)
SELECT no FROM taken ORDER BY since, id
