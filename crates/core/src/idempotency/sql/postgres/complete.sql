UPDATE pumasi_idempotency
SET response = $3, expires_at = clock_timestamp() + $4 * INTERVAL '1 microsecond'
WHERE id = $1 AND token = $2 AND expires_at > clock_timestamp() AND (response IS NULL OR response = $3)
