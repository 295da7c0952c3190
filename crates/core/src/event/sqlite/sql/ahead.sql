-- Whether the lane that waits the shortest or the longest began to wait at a moment that lies ahead.
SELECT coalesce((SELECT since FROM pumasi_event_lane WHERE sub = ?1 ORDER BY available_at LIMIT 1) > ?2, FALSE)
    OR coalesce((SELECT since FROM pumasi_event_lane WHERE sub = ?1 ORDER BY available_at DESC LIMIT 1) > ?2, FALSE)
