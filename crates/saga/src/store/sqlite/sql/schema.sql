CREATE TABLE IF NOT EXISTS pumasi_saga_schema (version INTEGER NOT NULL);
