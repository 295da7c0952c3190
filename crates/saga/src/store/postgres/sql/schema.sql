CREATE TABLE IF NOT EXISTS pumasi_saga_schema (version integer NOT NULL);
