CREATE TABLE IF NOT EXISTS questions (
    key TEXT COLLATE "C" PRIMARY KEY,
    words TEXT NOT NULL,
    asked BIGINT NOT NULL,
    answer TEXT,
    answered_at BIGINT
);
CREATE INDEX IF NOT EXISTS questions_by_count ON questions (asked DESC, key);
CREATE TABLE IF NOT EXISTS asks (
    event_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    post_begun BIGINT NOT NULL DEFAULT 0,
    posted_ts TEXT
);
CREATE INDEX IF NOT EXISTS asks_by_age ON asks (asked_at);
CREATE INDEX IF NOT EXISTS asks_unanswered ON asks (asked_at) WHERE posted_ts IS NULL;
