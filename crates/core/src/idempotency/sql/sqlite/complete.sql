UPDATE pumasi_idempotency SET response = ?3, expires_at = ?4
WHERE id = ?1 AND token = ?2 AND expires_at > ?5 AND (response IS NULL OR response = ?3)
