-- ?1: shards, ?2: holder, ?3: now
UPDATE pumasi_outbox_shard SET holder = 0, since = ?3, free_at = ?3
WHERE shard IN (SELECT value FROM json_each(?1)) AND holder = ?2
