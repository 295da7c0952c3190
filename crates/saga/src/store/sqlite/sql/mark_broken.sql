INSERT INTO pumasi_saga (id, saga, definition, key, status, step, waits, updated_at, created_at, since, row)
VALUES (?1, '', 0, '', ?2, '', 0, ?3, ?3, ?3, x'')
ON CONFLICT (id) DO UPDATE SET status = excluded.status, holder = NULL, wake = NULL, row = excluded.row
