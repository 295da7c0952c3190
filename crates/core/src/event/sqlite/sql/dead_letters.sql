SELECT d.position, e.body, d.attempts, d.kind, d.message, d.at, e.id, e.topic, e.key, e.published_at
FROM pumasi_event_dead d
JOIN pumasi_event_subscription s ON s.sub = d.sub
JOIN pumasi_event_log e ON e.seq = d.seq
WHERE s.grp = ?1 AND d.position > ?2
ORDER BY d.position
LIMIT ?3
