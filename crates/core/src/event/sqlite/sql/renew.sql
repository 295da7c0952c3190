UPDATE pumasi_event_lane SET available_at = ?2, since = ?3
FROM (
    SELECT DISTINCT value ->> 0 AS sub, value ->> 1 AS key, value ->> 3 AS fence FROM json_each(?1)
) AS claim
WHERE pumasi_event_lane.sub = claim.sub
    AND pumasi_event_lane.key = claim.key
    AND pumasi_event_lane.fence = claim.fence
