CREATE TABLE IF NOT EXISTS pumasi_post_tasks_schema (version integer NOT NULL);
