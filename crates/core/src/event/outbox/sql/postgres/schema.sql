CREATE TABLE IF NOT EXISTS pumasi_outbox_schema (version integer NOT NULL)
