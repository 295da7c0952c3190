DELETE FROM pumasi_idempotency
WHERE id IN (
    SELECT id FROM pumasi_idempotency WHERE expires_at <= clock_timestamp() LIMIT $1 FOR UPDATE SKIP LOCKED
)
