SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'pumasi_event_log'), 0)
