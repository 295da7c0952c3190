-- used counts the rows of the pool's holds; those that are over are deleted, and counted off, before it is read.
CREATE TABLE pumasi_capacity_pool (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    total INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0
);

-- until is NULL where the place is confirmed.
CREATE TABLE pumasi_capacity_hold (
    pool INTEGER NOT NULL,
    holder TEXT NOT NULL,
    ticket INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (pool, holder)
) WITHOUT ROWID;
CREATE UNIQUE INDEX pumasi_capacity_hold_ticket ON pumasi_capacity_hold (pool, ticket);
CREATE INDEX pumasi_capacity_hold_until ON pumasi_capacity_hold (pool, until) WHERE until IS NOT NULL;

INSERT INTO pumasi_capacity_schema VALUES (1);
