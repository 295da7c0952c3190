DELETE FROM pumasi_saga WHERE no IN (
    SELECT no FROM pumasi_saga
    WHERE status >= 5 AND updated_at <= ?1 AND holder IS NULL AND wake IS NULL AND NOT waits
    ORDER BY updated_at LIMIT ?2
)
