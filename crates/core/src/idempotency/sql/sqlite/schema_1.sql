CREATE TABLE pumasi_idempotency (
    id BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    token INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    response BLOB
) WITHOUT ROWID;
CREATE INDEX pumasi_idempotency_expires ON pumasi_idempotency (expires_at);
CREATE TABLE pumasi_idempotency_fence (n INTEGER NOT NULL);
INSERT INTO pumasi_idempotency_fence VALUES (0);
INSERT INTO pumasi_idempotency_schema VALUES (1);
