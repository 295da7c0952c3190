-- used counts the rows of the pool's holds; those that are over are deleted, and counted off, before it is read. Room is left
-- on the pages, because every batch of grants updates its pool's row.
CREATE TABLE pumasi_capacity_pool (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    total bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    last bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- until is NULL where the place is confirmed.
CREATE TABLE pumasi_capacity_hold (
    pool integer NOT NULL,
    holder text NOT NULL,
    ticket bigint NOT NULL,
    until bigint,
    PRIMARY KEY (pool, holder),
    UNIQUE (pool, ticket)
);
CREATE INDEX pumasi_capacity_hold_until ON pumasi_capacity_hold (pool, until) WHERE until IS NOT NULL;

INSERT INTO pumasi_capacity_schema VALUES (1);
