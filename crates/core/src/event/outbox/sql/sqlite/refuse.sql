-- ?1: [seq, kind, message] of each, ?2: now
INSERT INTO pumasi_outbox_refused (shard, body, kind, message, refused_at)
SELECT e.shard, e.body, r.value ->> 1, r.value ->> 2, ?2
FROM json_each(?1) AS r
JOIN pumasi_outbox_event e ON e.seq = r.value ->> 0
ORDER BY e.seq
