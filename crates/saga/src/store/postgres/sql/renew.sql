INSERT INTO pumasi_saga_worker (id, until)
VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2)
ON CONFLICT (id) DO UPDATE SET until = excluded.until
RETURNING until - $2
