-- Last commits of sagas of which nothing is to be kept. Returns those that found their rows as they should be.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), input AS MATERIALIZED (
    SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[], $6::integer[])
        AS input (n, id, expected, epoch, worker, consumes)
), gone AS (
    DELETE FROM pumasi_saga AS s USING input AS i
    WHERE s.id = i.id AND s.version = i.expected AND s.epoch = i.epoch AND s.holder = i.worker AND s.waiting = i.consumes
    RETURNING s.no, i.n
), records AS (
    DELETE FROM pumasi_saga_record WHERE saga IN (SELECT no FROM gone)
), consumed AS (
    DELETE FROM pumasi_saga_signal WHERE saga IN (SELECT no FROM gone)
)
SELECT now, n, NULL::bytea AS id FROM gone, at
