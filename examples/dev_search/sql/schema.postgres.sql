CREATE TABLE IF NOT EXISTS entries (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    lang TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    likes BIGINT NOT NULL,
    price_krw BIGINT NOT NULL,
    places BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (at);
-- What was taken out of late, so that engines are told of it.
CREATE TABLE IF NOT EXISTS removed_entries (
    id TEXT COLLATE "C" PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS removed_entries_by_time ON removed_entries (at);
CREATE TABLE IF NOT EXISTS orders (
    id TEXT COLLATE "C" PRIMARY KEY,
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    UNIQUE (entry, person)
);
CREATE INDEX IF NOT EXISTS orders_of ON orders (person, id);
-- How often an order was begun: a new turn keeps the entry from being taken out as one whose orders were undone.
CREATE TABLE IF NOT EXISTS order_turns (
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    turn BIGINT NOT NULL,
    PRIMARY KEY (entry, person)
);
-- What the payment partner knows; its id is the key of the step that charged.
CREATE TABLE IF NOT EXISTS charges (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL,
    person TEXT NOT NULL,
    amount_krw BIGINT NOT NULL,
    refunded BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE TABLE IF NOT EXISTS todos (
    owner TEXT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    text TEXT NOT NULL,
    done BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE TABLE IF NOT EXISTS board_secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL);
