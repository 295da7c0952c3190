UPDATE pumasi_idempotency
SET lease_until = clock_timestamp() + $3 * INTERVAL '1 microsecond',
    expires_at = GREATEST(expires_at, clock_timestamp() + $3 * INTERVAL '1 microsecond')
WHERE id = $1 AND token = $2 AND expires_at > clock_timestamp() AND response IS NULL
