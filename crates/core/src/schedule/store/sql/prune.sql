DELETE FROM pumasi_schedule_run
WHERE job = $1 AND status NOT IN ('waiting', 'running') AND due <= (
    SELECT due FROM pumasi_schedule_run
    WHERE job = $1 AND status NOT IN ('waiting', 'running')
    ORDER BY due DESC
    LIMIT 1 OFFSET $2
)
