-- Without a lock: a transaction that is storing the response is not waited for.
SELECT fingerprint = $2 AS same, response, lease_until > clock_timestamp() AS running
FROM pumasi_idempotency
WHERE id = $1 AND expires_at > clock_timestamp()
