DELETE FROM pumasi_saga WHERE no IN (
    SELECT no FROM pumasi_saga AS s
    WHERE status >= 5 AND updated_at <= ?1 AND holder IS NULL AND wake IS NULL
        AND NOT EXISTS (SELECT 1 FROM pumasi_saga_signal WHERE saga = s.no)
    ORDER BY updated_at LIMIT ?2
)
