DELETE FROM pumasi_idempotency
WHERE id IN (SELECT id FROM pumasi_idempotency WHERE expires_at <= ?1 LIMIT ?2)
