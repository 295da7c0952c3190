-- Numbered by age, so that the sagas under way lie side by side. due is what the last commit said; wake is when the saga is
-- to be looked at, while nobody holds it.
CREATE TABLE pumasi_saga (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    saga TEXT NOT NULL,
    definition INTEGER NOT NULL,
    key TEXT NOT NULL,
    status INTEGER NOT NULL,
    step TEXT NOT NULL,
    due INTEGER,
    reason TEXT,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    token INTEGER NOT NULL,
    holder BLOB,
    wake INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    log BLOB NOT NULL
);
CREATE INDEX pumasi_saga_holder ON pumasi_saga (holder) WHERE holder IS NOT NULL;
CREATE INDEX pumasi_saga_wake ON pumasi_saga (wake) WHERE wake IS NOT NULL;
CREATE INDEX pumasi_saga_ended ON pumasi_saga (updated_at) WHERE status >= 5;

-- Everybody who holds something has a row here.
CREATE TABLE pumasi_saga_worker (
    id BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE pumasi_saga_signal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    saga INTEGER NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    payload BLOB NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (saga, id)
);

INSERT INTO pumasi_saga_schema VALUES (1);
