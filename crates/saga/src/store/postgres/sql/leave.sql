WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), released AS (
    UPDATE pumasi_saga SET holder = NULL, wake = at.now FROM at WHERE holder = $1
)
DELETE FROM pumasi_saga_worker WHERE id = $1
