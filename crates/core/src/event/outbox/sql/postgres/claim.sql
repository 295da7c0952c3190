-- $1: holder, $2: lease in seconds, $3: shards at most. A claim that a crash of the server forgets is no loss, and so its
-- commit does not wait for the disk.
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), free AS (
    SELECT s.shard FROM pumasi_outbox_shard s, relaxed
    -- or the server's clock has gone back since
    WHERE (s.free_at <= clock_timestamp() OR s.since > clock_timestamp() + interval '1 second')
        AND EXISTS (SELECT 1 FROM pumasi_outbox_event e WHERE e.shard = s.shard)
    ORDER BY s.free_at
    LIMIT $3
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE pumasi_outbox_shard s SET
    holder = $1,
    since = clock_timestamp(),
    free_at = clock_timestamp() + make_interval(secs => $2)
FROM free
WHERE s.shard = free.shard
RETURNING s.shard
