-- What every transaction changed, until the tables have it. The mark goes on where the journal was emptied, so that no number
-- is used twice.
CREATE TABLE pumasi_saga_journal (
    no INTEGER PRIMARY KEY,
    entry BLOB NOT NULL
);
-- The last entry that the tables have.
CREATE TABLE pumasi_saga_mark (settled INTEGER NOT NULL);
INSERT INTO pumasi_saga_mark VALUES (0);

-- row is the saga, whole, with a checksum; what stands before it is there to find it by.
CREATE TABLE pumasi_saga (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    saga TEXT NOT NULL,
    definition INTEGER NOT NULL,
    key TEXT NOT NULL,
    status INTEGER NOT NULL,
    step TEXT NOT NULL,
    holder BLOB,
    wake INTEGER,
    waits INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    row BLOB NOT NULL
);
CREATE INDEX pumasi_saga_holder ON pumasi_saga (holder) WHERE holder IS NOT NULL;
CREATE INDEX pumasi_saga_wake ON pumasi_saga (wake) WHERE wake IS NOT NULL;
CREATE INDEX pumasi_saga_ended ON pumasi_saga (updated_at) WHERE status >= 5;

-- Everybody who holds something has a row here.
CREATE TABLE pumasi_saga_worker (
    id BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO pumasi_saga_schema VALUES (1);
