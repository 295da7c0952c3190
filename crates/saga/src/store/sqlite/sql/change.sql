-- wake is left to settle.sql
UPDATE pumasi_saga
SET definition = ?2, status = ?3, step = ?4, due = ?5, reason = ?6, version = ?7, epoch = ?8, token = ?9, holder = ?10,
    updated_at = ?11, log = CASE WHEN ?12 THEN ?13 ELSE CAST(log || ?13 AS BLOB) END, wake = NULL
WHERE no = ?1
