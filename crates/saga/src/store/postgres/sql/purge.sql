-- $1: the age, $2: the limit
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), old AS (
    SELECT no FROM pumasi_saga AS s, at
    WHERE status >= 5 AND updated_at <= now - $1 AND holder IS NULL AND wake IS NULL AND waiting = 0
    ORDER BY no LIMIT $2
    FOR UPDATE OF s SKIP LOCKED
), gone AS (
    DELETE FROM pumasi_saga WHERE no IN (SELECT no FROM old) RETURNING no
), records AS (
    DELETE FROM pumasi_saga_record WHERE saga IN (SELECT no FROM gone)
), workers AS (
    -- Whoever lives has renewed since.
    DELETE FROM pumasi_saga_worker AS w USING at
    WHERE until < now - 86400000000 AND NOT EXISTS (SELECT 1 FROM pumasi_saga WHERE holder = w.id)
)
SELECT count(*) FROM gone
