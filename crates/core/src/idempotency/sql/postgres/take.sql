-- The token is drawn before the row is locked: one that came too late does not replace a greater one.
INSERT INTO pumasi_idempotency AS known (id, fingerprint, token, lease_until, expires_at)
VALUES (
    $1, $2, nextval('pumasi_idempotency_fence'),
    clock_timestamp() + $3 * INTERVAL '1 microsecond', clock_timestamp() + $4 * INTERVAL '1 microsecond'
)
ON CONFLICT (id) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    token = excluded.token,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = NULL
WHERE known.token < excluded.token AND (
    known.expires_at <= clock_timestamp() OR (
        known.fingerprint = excluded.fingerprint
        AND known.response IS NULL
        AND known.lease_until <= clock_timestamp()
    )
)
RETURNING token
