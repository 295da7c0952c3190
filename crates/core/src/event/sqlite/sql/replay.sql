-- From the ids on: the planner would look for them in all that the topic holds.
INSERT INTO pumasi_event_delivery (sub, key, seq, attempts, fence, taken_at)
SELECT d.sub, e.key, d.seq, 0, 0, ?3
FROM (SELECT DISTINCT unhex(value) AS id FROM json_each(?2)) AS wanted
CROSS JOIN pumasi_event_log e ON e.id = wanted.id
JOIN pumasi_event_subscription s ON s.grp = ?1 AND s.topic = e.topic
JOIN pumasi_event_dead d ON d.sub = s.sub AND d.seq = e.seq;

DELETE FROM pumasi_event_dead WHERE (sub, seq) IN (
    SELECT s.sub, e.seq
    FROM json_each(?2) AS wanted
    CROSS JOIN pumasi_event_log e ON e.id = unhex(wanted.value)
    JOIN pumasi_event_subscription s ON s.grp = ?1 AND s.topic = e.topic
)
RETURNING 1
