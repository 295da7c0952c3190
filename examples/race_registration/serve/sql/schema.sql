CREATE TABLE IF NOT EXISTS races (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    is_lottery INTEGER NOT NULL,
    places INTEGER NOT NULL,
    price_krw INTEGER NOT NULL,
    organiser TEXT NOT NULL,
    seed TEXT,
    draw TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS barred (
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (race, runner)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entrants (
    race TEXT NOT NULL,
    registration TEXT NOT NULL,
    PRIMARY KEY (race, registration)
) STRICT, WITHOUT ROWID;
-- What the gateway and we know of a payment; its id is the key of the step that started it.
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    amount_krw INTEGER NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0,
    paid_by TEXT,
    refunded INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- What was paid for a payment that had been paid already, and is given back.
CREATE TABLE IF NOT EXISTS surplus (
    event TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    amount_krw INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY,
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    email TEXT,
    bib INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- In which order a draw calls entrants up, and who was; laid out when the calling begins.
CREATE TABLE IF NOT EXISTS turns (
    race TEXT NOT NULL,
    place INTEGER NOT NULL,
    registration TEXT NOT NULL,
    called INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    -- How often the registration was begun anew.
    run INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (race, place),
    UNIQUE (race, registration)
) STRICT, WITHOUT ROWID;
-- How often there was a reason to call entrants up, and up to which of these that is done.
CREATE TABLE IF NOT EXISTS calls (
    race TEXT PRIMARY KEY,
    due INTEGER NOT NULL DEFAULT 1,
    done INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- What a request of an organiser's made, by the key that it came under.
CREATE TABLE IF NOT EXISTS made (
    key TEXT PRIMARY KEY,
    race TEXT NOT NULL
) STRICT, WITHOUT ROWID;
