SELECT s.no, s.id, saga, definition, key, status, step, due, reason, version, epoch,
    (SELECT w.id FROM pumasi_saga_worker AS w WHERE w.id = holder AND w.until > ?1) AS holder, created_at, updated_at
