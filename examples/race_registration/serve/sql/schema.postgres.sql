CREATE TABLE IF NOT EXISTS races (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL,
    is_lottery BOOLEAN NOT NULL,
    places BIGINT NOT NULL,
    price_krw BIGINT NOT NULL,
    organiser TEXT NOT NULL,
    seed TEXT,
    draw TEXT
);
CREATE TABLE IF NOT EXISTS barred (
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (race, runner)
);
CREATE TABLE IF NOT EXISTS entrants (
    race TEXT NOT NULL,
    registration TEXT NOT NULL,
    PRIMARY KEY (race, registration)
);
-- What the gateway and we know of a payment; its id is the key of the step that started it.
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    amount_krw BIGINT NOT NULL,
    cancelled BOOLEAN NOT NULL DEFAULT FALSE,
    paid_by TEXT,
    refunded BOOLEAN NOT NULL DEFAULT FALSE
);
-- What was paid for a payment that had been paid already, and is given back.
CREATE TABLE IF NOT EXISTS surplus (
    event TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    amount_krw BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY,
    race TEXT NOT NULL,
    runner TEXT NOT NULL,
    email TEXT,
    bib BIGINT NOT NULL
);
-- In which order a draw calls entrants up, and who was; laid out when the calling begins.
CREATE TABLE IF NOT EXISTS turns (
    race TEXT NOT NULL,
    place BIGINT NOT NULL,
    registration TEXT NOT NULL,
    called BOOLEAN NOT NULL DEFAULT FALSE,
    gone BOOLEAN NOT NULL DEFAULT FALSE,
    -- How often the registration was begun anew.
    run BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (race, place),
    UNIQUE (race, registration)
);
-- How often there was a reason to call entrants up, and up to which of these that is done.
CREATE TABLE IF NOT EXISTS calls (
    race TEXT PRIMARY KEY,
    due BIGINT NOT NULL DEFAULT 1,
    done BIGINT NOT NULL DEFAULT 0
);
-- What a request of an organiser's made, by the key that it came under.
CREATE TABLE IF NOT EXISTS made (
    key TEXT PRIMARY KEY,
    race TEXT NOT NULL
);
