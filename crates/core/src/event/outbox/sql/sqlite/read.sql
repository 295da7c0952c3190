-- ?1: shards, ?2: events of each at most
SELECT e.shard, e.seq, e.body
FROM json_each(?1) AS claimed
JOIN pumasi_outbox_event e ON e.shard = claimed.value AND e.seq IN (
    SELECT x.seq FROM pumasi_outbox_event x WHERE x.shard = claimed.value ORDER BY x.seq LIMIT ?2
)
ORDER BY e.shard, e.seq
