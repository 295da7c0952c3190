UPDATE pumasi_outbox_shard SET holder = 0, since = clock_timestamp(), free_at = clock_timestamp()
WHERE shard = ANY($1::smallint[]) AND holder = $2
