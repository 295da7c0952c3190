-- ?2: the fence of a fetch that nobody received, ?3: [key, seq, attempts before] of each lane's head, ?4: now
WITH row AS MATERIALIZED (
    SELECT ?1 AS sub, value ->> 0 AS key, value ->> 1 AS seq, value ->> 2 AS attempts FROM json_each(?3)
)
UPDATE pumasi_event_delivery SET attempts = row.attempts
FROM row
WHERE pumasi_event_delivery.sub = row.sub
    AND pumasi_event_delivery.key = row.key
    AND pumasi_event_delivery.seq = row.seq
    AND pumasi_event_delivery.fence = ?2;

WITH row AS MATERIALIZED (SELECT ?1 AS sub, value ->> 0 AS key FROM json_each(?3))
UPDATE pumasi_event_lane SET fence = 0, held = 0, available_at = ?4, since = ?4
FROM row
WHERE pumasi_event_lane.sub = row.sub AND pumasi_event_lane.key = row.key AND pumasi_event_lane.fence = ?2
