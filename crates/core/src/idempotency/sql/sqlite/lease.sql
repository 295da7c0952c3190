UPDATE pumasi_idempotency SET lease_until = ?3, expires_at = max(expires_at, ?3)
WHERE id = ?1 AND token = ?2 AND expires_at > ?4 AND response IS NULL
