CREATE TABLE IF NOT EXISTS pumasi_idempotency_schema (version INTEGER NOT NULL);
