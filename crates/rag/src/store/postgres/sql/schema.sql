CREATE TABLE IF NOT EXISTS pumasi_rag_schema (version INTEGER NOT NULL);
