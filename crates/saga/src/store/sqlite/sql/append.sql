INSERT INTO pumasi_saga_journal (no, entry) VALUES (?1, ?2)
