-- $1: the pool, whose row is locked, $2: who asks. The clock is read after the lock was granted.
WITH at AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
), over AS (
    DELETE FROM pumasi_capacity_hold USING at WHERE pool = $1 AND until <= at.now RETURNING 1
)
SELECT at.now, (SELECT count(*) FROM over), holder, ticket, until
FROM at LEFT JOIN pumasi_capacity_hold ON pool = $1 AND holder = ANY ($2::text[])
