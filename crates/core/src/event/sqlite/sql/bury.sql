INSERT INTO pumasi_event_dead (sub, seq, attempts, kind, message, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
