LEFT JOIN pumasi_saga_worker AS w ON w.id = holder
WHERE s.id > ?2
    AND (?3 IS NULL OR saga = ?3)
    AND (?4 IS NULL OR key = ?4)
    AND (?5 IS NULL OR status IN (SELECT value FROM json_each(?5)))
    AND (?6 IS NULL OR step = ?6)
    AND (?7 IS NULL OR updated_at <= ?7)
    AND (?9 IS NULL OR holder = ?9 AND w.until > ?1)
