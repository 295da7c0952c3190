-- Everybody who holds something: from one to the next in the index, of whom there are few, whatever they hold. Whoever has no
-- row (any more) has no lease.
WITH RECURSIVE holders AS (
    (SELECT holder FROM pumasi_saga WHERE holder IS NOT NULL ORDER BY holder LIMIT 1)
    UNION ALL
    SELECT (SELECT s.holder FROM pumasi_saga AS s WHERE s.holder > h.holder ORDER BY s.holder LIMIT 1)
    FROM holders AS h WHERE h.holder IS NOT NULL
), leases AS MATERIALIZED (
    SELECT h.holder, coalesce(w.until, 0) AS until
    FROM holders AS h LEFT JOIN pumasi_saga_worker AS w ON w.id = h.holder
    WHERE h.holder IS NOT NULL
)
