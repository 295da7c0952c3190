-- The session ends by itself when it was idle for the lease, and its lock with it.
WITH attempt AS MATERIALIZED (SELECT pg_try_advisory_lock($1) AS taken)
SELECT
    CASE WHEN taken THEN set_config('idle_session_timeout', $2, false) END,
    CASE WHEN taken THEN set_config('synchronous_commit', 'on', false) END,
    CASE WHEN taken THEN nextval('pumasi_lock_fence') END AS token
FROM attempt
