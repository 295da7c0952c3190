-- ?1: now. Which index serves it, and which ages are asked for, is said in between.
SELECT s.row, w.until > ?1, s.id, saga, definition, key, step, updated_at
FROM pumasi_saga AS s
