SELECT max(seq) AS last, count(*) AS count FROM (
    SELECT e.seq FROM pumasi_event_subscription s
    JOIN pumasi_event_log e ON e.topic = s.topic AND e.seq > s.cursor
    WHERE s.sub = ?1
    ORDER BY e.seq
    LIMIT ?2
)
