-- ?3: the moment to begin at, NULL for the end of the log
INSERT INTO pumasi_event_subscription (grp, topic, cursor)
SELECT ?1, ?2, coalesce(
    (SELECT min(seq) - 1 FROM pumasi_event_log WHERE topic = ?2 AND published_at >= ?3),
    (SELECT seq FROM sqlite_sequence WHERE name = 'pumasi_event_log'),
    0
)
WHERE true
ON CONFLICT (grp, topic) DO NOTHING
