CREATE TABLE pumasi_post_tasks (
    post_id  TEXT COLLATE "C" PRIMARY KEY,
    version  BIGINT  NOT NULL,
    round    BIGINT  NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('pending', 'extracted', 'failed', 'withdrawing', 'withdrawn')),
    settled  BOOLEAN NOT NULL,
    attempts BIGINT  NOT NULL,
    tokens   BIGINT  NOT NULL,
    record   TEXT    NOT NULL
);
CREATE INDEX pumasi_post_tasks_by_state ON pumasi_post_tasks (state, post_id);
INSERT INTO pumasi_post_tasks_schema VALUES (1);
