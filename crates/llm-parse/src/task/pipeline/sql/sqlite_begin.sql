CREATE TABLE IF NOT EXISTS pumasi_post_tasks_schema (version INTEGER NOT NULL) STRICT;
