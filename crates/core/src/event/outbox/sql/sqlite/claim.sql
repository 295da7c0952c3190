-- ?1: holder, ?2: now, ?3: end of the lease, ?4: shards at most, ?5: since when a clock that went back is taken for one
UPDATE pumasi_outbox_shard SET holder = ?1, since = ?2, free_at = ?3
WHERE shard IN (
    SELECT s.shard FROM pumasi_outbox_shard s
    WHERE (s.free_at <= ?2 OR s.since > ?5)
        AND EXISTS (SELECT 1 FROM pumasi_outbox_event e WHERE e.shard = s.shard)
    ORDER BY s.free_at
    LIMIT ?4
)
RETURNING shard
