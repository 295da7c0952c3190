UPDATE pumasi_event_delivery SET attempts = ?4 WHERE sub = ?1 AND key = ?2 AND seq = ?3;

UPDATE pumasi_event_lane SET fence = 0, held = 0, available_at = ?5, since = ?6
WHERE sub = ?1 AND key = ?2
