-- ?2: keys as a JSON array, ?3: events of each at most
-- A cross join keeps the order: the planner takes few rows for many, and would read all that is unsettled first.
SELECT d.key, d.seq, d.attempts, e.body
FROM json_each(?2) AS wanted
CROSS JOIN pumasi_event_delivery d ON d.sub = ?1 AND d.key = wanted.value AND d.seq IN (
    SELECT x.seq FROM pumasi_event_delivery x
    WHERE x.sub = ?1 AND x.key = wanted.value
    ORDER BY x.seq
    LIMIT ?3
)
JOIN pumasi_event_log e ON e.seq = d.seq
ORDER BY wanted.key, d.seq
