INSERT INTO pumasi_event_delivery (sub, key, seq, attempts, fence, taken_at)
SELECT s.sub, e.key, e.seq, 0, 0, ?3
FROM pumasi_event_subscription s
JOIN pumasi_event_log e ON e.topic = s.topic AND e.seq > s.cursor AND e.seq <= ?2
WHERE s.sub = ?1
ORDER BY e.seq;

UPDATE pumasi_event_subscription SET cursor = ?2 WHERE sub = ?1
