SELECT key FROM pumasi_event_lane
WHERE sub = ?1 AND available_at <= ?2
ORDER BY available_at
LIMIT ?3
