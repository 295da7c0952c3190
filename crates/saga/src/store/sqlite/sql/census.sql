-- ?2: the end of a lease that was never begun
SELECT count(*),
    count(*) FILTER (WHERE until > ?1),
    min(CASE WHEN until <= ?1 THEN nullif(until, ?2) WHEN wake <= ?1 THEN wake END),
    count(*) FILTER (WHERE until <= ?1 OR wake <= ?1),
    (SELECT count(*) FROM pumasi_saga_worker WHERE until > ?1)
FROM pumasi_saga LEFT JOIN pumasi_saga_worker AS w ON w.id = holder
WHERE holder IS NOT NULL OR wake IS NOT NULL
