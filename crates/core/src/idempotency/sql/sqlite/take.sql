INSERT INTO pumasi_idempotency (id, fingerprint, token, lease_until, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    token = excluded.token,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = NULL
