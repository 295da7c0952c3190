INSERT INTO pumasi_saga
    (created_at, id, definition, epoch, holder, due, version, token, updated_at, status, since, loose, step, reason, saga, key)
VALUES ($1, $2, $3, 0, NULL, NULL, 0, 0, $1, $4, $1, 4, $5, NULL, $6, $7)
ON CONFLICT (id) DO NOTHING
RETURNING no
