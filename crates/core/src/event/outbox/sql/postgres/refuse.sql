-- $1: shards, $2: seqs, $3: kinds, $4: messages
INSERT INTO pumasi_outbox_refused (shard, body, kind, message)
SELECT e.shard, e.body, r.kind, r.message
FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::text[]) AS r (shard, seq, kind, message)
JOIN pumasi_outbox_event e ON e.shard = r.shard AND e.seq = r.seq
ORDER BY e.seq
