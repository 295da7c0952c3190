CREATE TABLE IF NOT EXISTS pumasi_view_schema (version INTEGER NOT NULL);
