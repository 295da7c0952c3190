-- The clock went back: what waits for a moment waits as long as it was meant to, from now.
UPDATE pumasi_event_lane SET available_at = ?1 + (available_at - since), since = ?1 WHERE since > ?1
