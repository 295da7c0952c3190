-- ?2: the fence, ?3: [key, seq, attempts] of each row, ?4: [key, rows] of each lane, ?5: end of the lease, ?6: now
UPDATE pumasi_event_delivery SET fence = ?2, attempts = row.attempts
FROM (SELECT value ->> 0 AS key, value ->> 1 AS seq, value ->> 2 AS attempts FROM json_each(?3)) AS row
WHERE pumasi_event_delivery.sub = ?1
    AND pumasi_event_delivery.key = row.key
    AND pumasi_event_delivery.seq = row.seq;

UPDATE pumasi_event_lane SET fence = ?2, held = lane.held, available_at = ?5, since = ?6
FROM (SELECT value ->> 0 AS key, value ->> 1 AS held FROM json_each(?4)) AS lane
WHERE pumasi_event_lane.sub = ?1 AND pumasi_event_lane.key = lane.key
