-- The worker's row stays: a claim of its own may be under way yet, and what that takes is found by the row.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), released AS (
    UPDATE pumasi_saga SET holder = NULL, wake = at.now FROM at WHERE holder = $1
)
UPDATE pumasi_saga_worker SET until = least(until, at.now) FROM at WHERE id = $1
