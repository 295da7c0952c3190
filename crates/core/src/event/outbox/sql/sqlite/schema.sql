CREATE TABLE IF NOT EXISTS pumasi_outbox_schema (version INTEGER NOT NULL)
