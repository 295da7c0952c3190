CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    author TEXT NOT NULL,
    sky TEXT NOT NULL,
    text TEXT NOT NULL,
    lat REAL NOT NULL,
    lon REAL NOT NULL,
    at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS warnings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    forecaster TEXT NOT NULL,
    at INTEGER NOT NULL,
    lifted_at INTEGER
);
-- Of a kind a region has one warning at a time.
CREATE UNIQUE INDEX IF NOT EXISTS warnings_in_force ON warnings (region, kind) WHERE lifted_at IS NULL;

CREATE TABLE IF NOT EXISTS missions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    lat REAL NOT NULL,
    lon REAL NOT NULL,
    radius_m REAL NOT NULL,
    at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS proofs (
    mission INTEGER NOT NULL REFERENCES missions (id),
    person TEXT NOT NULL,
    note TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (mission, person)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS drops (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    places INTEGER NOT NULL,
    at INTEGER NOT NULL
);
