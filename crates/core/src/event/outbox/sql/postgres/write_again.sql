WITH taken AS (
    DELETE FROM pumasi_outbox_refused WHERE position = ANY($1::bigint[]) RETURNING position, shard, body
), stored AS (
    INSERT INTO pumasi_outbox_event (shard, body) SELECT shard, body FROM taken ORDER BY position RETURNING 1
)
SELECT count(*), (SELECT 1 FROM pg_notify('pumasi_outbox', '')) FROM stored
