-- $1: the pool, $2: used, $3: the last ticket, $4, $5, $6: holders, their tickets and ends, $7: who has nothing any more
WITH gone AS (
    DELETE FROM pumasi_capacity_hold WHERE pool = $1 AND holder = ANY ($7::text[])
), kept AS (
    INSERT INTO pumasi_capacity_hold (pool, holder, ticket, until)
    SELECT $1, hold.* FROM unnest($4::text[], $5::bigint[], $6::bigint[]) AS hold
    ON CONFLICT (pool, holder) DO UPDATE SET ticket = excluded.ticket, until = excluded.until
)
UPDATE pumasi_capacity_pool SET used = $2, last = $3 WHERE no = $1
