-- $1: the end of a lease that was never begun
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
)
SELECT
    count(*) FILTER (WHERE until > now),
    max(now - CASE WHEN until <= now THEN nullif(until, $1) WHEN wake <= now THEN wake END),
    count(*) FILTER (WHERE until <= now OR wake <= now OR holder IS NOT NULL AND w.id IS NULL),
    (SELECT count(*) FROM pumasi_saga_worker, at WHERE until > now)
FROM at, pumasi_saga LEFT JOIN pumasi_saga_worker AS w ON w.id = holder
WHERE holder IS NOT NULL OR wake IS NOT NULL
