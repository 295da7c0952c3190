-- ?1: now
SELECT s.row, w.until > ?1, s.id, saga, definition, key, step, updated_at
FROM pumasi_saga AS s LEFT JOIN pumasi_saga_worker AS w ON w.id = holder
WHERE s.id > ?2
    AND (?3 IS NULL OR saga = ?3)
    AND (?4 IS NULL OR key = ?4)
    AND (?5 IS NULL OR status IN (SELECT value FROM json_each(?5)))
    AND (?6 IS NULL OR step = ?6)
    AND (?7 IS NULL OR updated_at <= ?7)
    AND (?9 IS NULL OR holder = ?9 AND w.until > ?1)
ORDER BY s.id
LIMIT ?8
