INSERT INTO pumasi_capacity_hold (pool, holder, ticket, until)
SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)
WHERE true
ON CONFLICT (pool, holder) DO UPDATE SET ticket = excluded.ticket, until = excluded.until
