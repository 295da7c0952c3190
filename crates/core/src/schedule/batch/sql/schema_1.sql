-- For SQLite and PostgreSQL alike. Moments are microseconds since 1970; the id follows from name and parameters.
-- "If not exists", because the tables were once made without a version.
CREATE TABLE IF NOT EXISTS pumasi_batch_run (
    id TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    parameters TEXT NOT NULL,
    status TEXT NOT NULL,
    position TEXT,
    progress TEXT NOT NULL,
    chunks BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    reason_kind TEXT,
    reason TEXT,
    announced BOOLEAN NOT NULL
);

INSERT INTO pumasi_batch_schema VALUES (1);
