CREATE TABLE IF NOT EXISTS pumasi_capacity_schema (version INTEGER NOT NULL);
