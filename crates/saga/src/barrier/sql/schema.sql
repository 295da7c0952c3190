CREATE TABLE IF NOT EXISTS pumasi_barrier_schema (version integer NOT NULL);
