CREATE TABLE IF NOT EXISTS pumasi_inbox_schema (version INTEGER NOT NULL)
