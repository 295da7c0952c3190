CREATE TABLE IF NOT EXISTS pumasi_projection_schema (version INTEGER NOT NULL)
