SELECT
    (SELECT min(available_at) FROM pumasi_event_lane WHERE sub = s.sub) AS next,
    EXISTS (SELECT 1 FROM pumasi_event_log WHERE topic = s.topic AND seq > s.cursor) AS fresh
FROM pumasi_event_subscription s
WHERE s.sub = ?1
