DELETE FROM pumasi_event_delivery WHERE sub = ?1 AND key = ?2 AND seq = ?3;

UPDATE pumasi_event_lane SET
    held = held - 1,
    fence = CASE held WHEN 1 THEN 0 ELSE fence END,
    available_at = CASE held WHEN 1 THEN ?4 ELSE available_at END,
    since = CASE held WHEN 1 THEN ?4 ELSE since END
WHERE sub = ?1 AND key = ?2
RETURNING held
