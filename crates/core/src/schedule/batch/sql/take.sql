UPDATE pumasi_batch_run
SET status = 'running', fence = $2, lease_until = $3, progress = $4, ended = NULL, reason_kind = NULL, reason = NULL
WHERE id = $1
