INSERT INTO pumasi_schedule_run
    (job, due, status, available, attempts, fence, lease_until, started, ended, times, reason_kind, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (job, due) DO UPDATE SET
    status = excluded.status,
    available = excluded.available,
    attempts = excluded.attempts,
    fence = excluded.fence,
    lease_until = excluded.lease_until,
    started = excluded.started,
    ended = excluded.ended,
    times = excluded.times,
    reason_kind = excluded.reason_kind,
    reason = excluded.reason
