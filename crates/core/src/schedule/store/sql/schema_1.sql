-- For SQLite and PostgreSQL alike. Moments are microseconds since 1970.
-- "If not exists", because the tables were once made without a version.
CREATE TABLE IF NOT EXISTS pumasi_schedule_job (
    name TEXT PRIMARY KEY,
    cursor_at BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    fence BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS pumasi_schedule_run (
    job TEXT NOT NULL,
    due BIGINT NOT NULL,
    status TEXT NOT NULL,
    available BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    lease_until BIGINT,
    started BIGINT,
    ended BIGINT,
    times BIGINT NOT NULL,
    reason_kind TEXT,
    reason TEXT,
    PRIMARY KEY (job, due)
);

-- Few runs have not ended, however long the history is.
CREATE INDEX IF NOT EXISTS pumasi_schedule_open ON pumasi_schedule_run (job, due)
WHERE status IN ('waiting', 'running');

INSERT INTO pumasi_schedule_schema VALUES (1);
