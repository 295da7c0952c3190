CREATE SEQUENCE pumasi_idempotency_fence AS BIGINT;
CREATE TABLE pumasi_idempotency (
    id BYTEA PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    token BIGINT NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    response BYTEA
);
CREATE INDEX pumasi_idempotency_expires ON pumasi_idempotency (expires_at);
INSERT INTO pumasi_idempotency_schema VALUES (1);
