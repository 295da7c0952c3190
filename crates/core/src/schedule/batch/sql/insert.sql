INSERT INTO pumasi_batch_run
    (id, job, parameters, status, progress, chunks, fence, lease_until, started, announced)
VALUES ($1, $2, $3, 'stopped', '{}', 0, 0, 0, $4, FALSE)
ON CONFLICT (id) DO NOTHING
