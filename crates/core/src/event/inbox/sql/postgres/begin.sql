-- Waits for another transaction that has written the same row and not ended yet.
INSERT INTO pumasi_inbox_event (grp, id) VALUES ($1, $2::text::uuid) ON CONFLICT DO NOTHING
