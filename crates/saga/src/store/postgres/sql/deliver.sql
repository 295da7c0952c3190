-- $1: the saga's id. The row is locked before the signal is numbered, so that numbers have the order of the deliveries.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), target AS MATERIALIZED (
    SELECT no FROM pumasi_saga WHERE id = $1 FOR UPDATE
), put AS (
    INSERT INTO pumasi_saga_signal (saga, name, id, payload, at)
    SELECT target.no, $2, $3, $4, at.now FROM target, at
    ON CONFLICT (saga, id) DO NOTHING
    RETURNING saga
), counted AS (
    UPDATE pumasi_saga AS s
    SET waiting = waiting + 1,
        -- 4: parked
        wake = CASE WHEN holder IS NULL AND status <> 4 THEN least(coalesce(wake, at.now), at.now) ELSE wake END
    FROM put, at WHERE s.no = put.saga
)
SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM put)
