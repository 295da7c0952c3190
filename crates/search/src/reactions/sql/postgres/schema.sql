CREATE TABLE IF NOT EXISTS pumasi_reaction_schema (version integer NOT NULL);
