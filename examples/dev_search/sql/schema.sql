CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    lang TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    likes INTEGER NOT NULL,
    price_krw INTEGER NOT NULL,
    places INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (at);
-- What was taken out of late, so that engines are told of it.
CREATE TABLE IF NOT EXISTS removed_entries (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS removed_entries_by_time ON removed_entries (at);
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    UNIQUE (entry, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_of ON orders (person, id);
-- How often an order was begun: a new turn keeps the entry from being taken out as one whose orders were undone.
CREATE TABLE IF NOT EXISTS order_turns (
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (entry, person)
) STRICT, WITHOUT ROWID;
-- What the payment partner knows; its id is the key of the step that charged.
CREATE TABLE IF NOT EXISTS charges (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    amount_krw INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS todos (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    text TEXT NOT NULL,
    done INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS board_secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL) STRICT, WITHOUT ROWID;
