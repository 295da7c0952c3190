CREATE TABLE IF NOT EXISTS pumasi_lock_schema (version INTEGER NOT NULL);
