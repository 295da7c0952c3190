INSERT INTO pumasi_inbox_event (grp, id, handled_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
