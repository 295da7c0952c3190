DELETE FROM pumasi_event_lane
WHERE sub = ?1 AND key = ?2
    AND NOT EXISTS (SELECT 1 FROM pumasi_event_delivery WHERE sub = ?1 AND key = ?2)
