-- ?1: [shard, body] of each event, ?2: now
INSERT INTO pumasi_outbox_event (shard, body, written_at)
SELECT value ->> 0, value ->> 1, ?2 FROM json_each(?1) ORDER BY key
