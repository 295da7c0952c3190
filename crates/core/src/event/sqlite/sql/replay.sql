INSERT INTO pumasi_event_delivery (sub, key, seq, attempts, fence, taken_at)
SELECT d.sub, e.key, d.seq, 0, 0, ?3
FROM pumasi_event_log e
JOIN pumasi_event_subscription s ON s.grp = ?1 AND s.topic = e.topic
JOIN pumasi_event_dead d ON d.sub = s.sub AND d.seq = e.seq
WHERE e.id IN (SELECT unhex(value) FROM json_each(?2));

DELETE FROM pumasi_event_dead WHERE (sub, seq) IN (
    SELECT s.sub, e.seq FROM pumasi_event_log e
    JOIN pumasi_event_subscription s ON s.grp = ?1 AND s.topic = e.topic
    WHERE e.id IN (SELECT unhex(value) FROM json_each(?2))
)
RETURNING 1
