CREATE TABLE IF NOT EXISTS pumasi_room_schema (version INTEGER NOT NULL);
