SELECT
    (SELECT count(*) FROM pumasi_event_delivery WHERE sub = s.sub)
        + (SELECT count(*) FROM pumasi_event_log WHERE topic = s.topic AND seq > s.cursor) AS unsettled,
    (SELECT count(*) FROM pumasi_event_dead WHERE sub = s.sub) AS dead
FROM pumasi_event_subscription s
WHERE s.sub = ?1
