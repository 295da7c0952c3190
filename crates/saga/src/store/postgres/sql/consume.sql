DELETE FROM pumasi_saga_signal WHERE saga = $1 AND seq = ANY ($2::bigint[])
