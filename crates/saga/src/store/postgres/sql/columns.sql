WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
)
SELECT at.now, s.no, s.id, saga, definition, key, status, step, due, reason, version, epoch,
    (SELECT w.id FROM pumasi_saga_worker AS w WHERE w.id = holder AND w.until > at.now) AS holder, created_at, updated_at,
    coalesce(since, updated_at) AS since
