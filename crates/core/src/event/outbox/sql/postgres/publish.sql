-- $1: shards, $2: bodies, $3: whether to wake relays
WITH stored AS (
    INSERT INTO pumasi_outbox_event (shard, body)
    SELECT shard, body FROM unnest($1::smallint[], $2::text[]) WITH ORDINALITY AS event (shard, body, n)
    ORDER BY n
)
SELECT pg_notify('pumasi_outbox', '') WHERE $3
