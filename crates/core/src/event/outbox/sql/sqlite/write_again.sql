INSERT INTO pumasi_outbox_event (shard, body, written_at)
SELECT shard, body, ?2 FROM pumasi_outbox_refused
WHERE position IN (SELECT value FROM json_each(?1))
ORDER BY position;

DELETE FROM pumasi_outbox_refused WHERE position IN (SELECT value FROM json_each(?1)) RETURNING 1
