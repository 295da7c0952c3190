-- Only whoever holds the run, and only once for each chunk.
UPDATE pumasi_batch_run SET
    status = $4,
    position = coalesce($5, position),
    progress = $6,
    chunks = $7,
    lease_until = $8,
    ended = $9,
    reason_kind = $10,
    reason = $11,
    announced = $12
WHERE id = $1 AND fence = $2 AND chunks = $3 AND status = 'running'
