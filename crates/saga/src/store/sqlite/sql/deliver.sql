INSERT INTO pumasi_saga_signal (saga, name, id, payload, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (saga, id) DO NOTHING
