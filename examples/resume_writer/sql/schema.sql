CREATE TABLE IF NOT EXISTS resumes (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    account TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    version INTEGER NOT NULL,
    body TEXT,
    sources TEXT,
    share TEXT UNIQUE,
    said INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS resumes_by_owner ON resumes (owner, at);
CREATE TABLE IF NOT EXISTS edits (
    id TEXT PRIMARY KEY,
    resume TEXT NOT NULL,
    base INTEGER NOT NULL,
    instruction TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    body TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS edits_by_resume ON edits (resume, at);
CREATE TABLE IF NOT EXISTS likes (
    resume TEXT NOT NULL,
    person TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (resume, person)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comments (
    id TEXT PRIMARY KEY,
    resume TEXT NOT NULL,
    number INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS comments_by_resume ON comments (resume, number);
CREATE TABLE IF NOT EXISTS notices (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    resume TEXT NOT NULL,
    kind TEXT NOT NULL,
    person TEXT NOT NULL,
    at INTEGER NOT NULL,
    told INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS notices_by_owner ON notices (owner, at);
-- Who has had something written, and when last: the row is held while that is counted.
CREATE TABLE IF NOT EXISTS writers (
    person TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- When résumés, retries and instructions of the last day were asked for, by person.
CREATE TABLE IF NOT EXISTS writings (
    person TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS writings_by_person ON writings (person, at);
