DELETE FROM pumasi_event_log WHERE seq IN (
    SELECT e.seq FROM pumasi_event_log e
    WHERE e.published_at < ?1 AND NOT EXISTS (
        SELECT 1 FROM pumasi_event_subscription s
        WHERE s.topic = e.topic AND (
            s.cursor < e.seq
            OR EXISTS (
                SELECT 1 FROM pumasi_event_delivery d
                WHERE d.sub = s.sub AND d.key = e.key AND d.seq = e.seq
            )
            OR EXISTS (SELECT 1 FROM pumasi_event_dead d WHERE d.sub = s.sub AND d.seq = e.seq)
        )
    )
    ORDER BY e.published_at, e.seq
    LIMIT ?2
)
