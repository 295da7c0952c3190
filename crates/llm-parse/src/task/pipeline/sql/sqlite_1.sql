CREATE TABLE IF NOT EXISTS pumasi_post_tasks (
    post_id  TEXT    PRIMARY KEY,
    version  INTEGER NOT NULL,
    round    INTEGER NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('pending', 'extracted', 'failed', 'withdrawing', 'withdrawn')),
    settled  INTEGER NOT NULL CHECK (settled IN (0, 1)),
    attempts INTEGER NOT NULL,
    record   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pumasi_post_tasks_by_state ON pumasi_post_tasks (state, post_id);
INSERT INTO pumasi_post_tasks_schema VALUES (1);
