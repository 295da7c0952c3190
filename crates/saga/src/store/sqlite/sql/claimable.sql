-- ?1: now, ?2: the known definitions as [[saga, version], …], ?3: the limit
SELECT id, since FROM (
    SELECT id, wake AS since, saga, definition FROM pumasi_saga WHERE wake <= ?1
    UNION ALL
    SELECT s.id, w.until, s.saga, s.definition
    FROM pumasi_saga_worker AS w CROSS JOIN pumasi_saga AS s ON s.holder = w.id
    WHERE w.until <= ?1
)
WHERE (saga, definition) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))
ORDER BY since, id
LIMIT ?3
