SELECT job, due, status, available, attempts, fence, lease_until, started, ended, times, reason_kind, reason
FROM pumasi_schedule_run
WHERE job = $1 AND status IN ('waiting', 'running')
ORDER BY due
