-- ?1: [sub, key, seq, fence] of each receipt; answers the places of those that stand
SELECT claim.key AS place
FROM json_each(?1) AS claim
JOIN pumasi_event_delivery d
    ON d.sub = claim.value ->> 0 AND d.key = claim.value ->> 1 AND d.seq = claim.value ->> 2
    AND d.fence = claim.value ->> 3
JOIN pumasi_event_lane l ON l.sub = d.sub AND l.key = d.key AND l.fence = d.fence
