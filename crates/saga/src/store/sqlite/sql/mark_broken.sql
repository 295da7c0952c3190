INSERT INTO pumasi_saga (id, saga, definition, key, status, step, waits, updated_at, row)
VALUES (?1, '', 0, '', ?2, '', 0, ?3, x'')
ON CONFLICT (id) DO UPDATE SET status = excluded.status, holder = NULL, wake = NULL, row = excluded.row
