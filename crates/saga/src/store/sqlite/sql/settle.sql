UPDATE pumasi_saga
SET wake = CASE
    WHEN EXISTS (SELECT 1 FROM pumasi_saga_signal WHERE saga = no) THEN min(coalesce(due, ?2), ?2)
    ELSE due
END
WHERE no = ?1
