DELETE FROM pumasi_outbox_event e
USING unnest($1::smallint[], $2::bigint[]) AS done (shard, seq)
WHERE e.shard = done.shard AND e.seq = done.seq
