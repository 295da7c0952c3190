-- ?2: the fence, ?3: [key, seq, attempts] of each row, ?4: [key, rows] of each lane, ?5: end of the lease, ?6: now
-- Materialized, and with the subscription: the planner takes few rows for many, and would read all of them for each of the
-- subscription's.
WITH row AS MATERIALIZED (
    SELECT ?1 AS sub, value ->> 0 AS key, value ->> 1 AS seq, value ->> 2 AS attempts FROM json_each(?3)
)
UPDATE pumasi_event_delivery SET fence = ?2, attempts = row.attempts
FROM row
WHERE pumasi_event_delivery.sub = row.sub
    AND pumasi_event_delivery.key = row.key
    AND pumasi_event_delivery.seq = row.seq;

WITH lane AS MATERIALIZED (SELECT ?1 AS sub, value ->> 0 AS key, value ->> 1 AS held FROM json_each(?4))
UPDATE pumasi_event_lane SET fence = ?2, held = lane.held, available_at = ?5, since = ?6
FROM lane
WHERE pumasi_event_lane.sub = lane.sub AND pumasi_event_lane.key = lane.key
