-- Moments are microseconds since 1970.
CREATE TABLE IF NOT EXISTS crews (
    name TEXT PRIMARY KEY,
    founder TEXT NOT NULL,
    founded_at BIGINT NOT NULL
);
-- Who runs with which crew: one at a time.
CREATE TABLE IF NOT EXISTS crew_members (
    runner TEXT PRIMARY KEY,
    crew TEXT NOT NULL REFERENCES crews (name)
);
CREATE INDEX IF NOT EXISTS crew_members_by_crew ON crew_members (crew);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    runner TEXT NOT NULL,
    crew TEXT,
    began_at BIGINT NOT NULL,
    distance_m BIGINT NOT NULL,
    time_s BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_runner ON runs (runner, began_at, id);
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (began_at, runner);
-- Events of runs that boards or achievements do not have yet.
CREATE TABLE IF NOT EXISTS waiting_events (
    follower TEXT NOT NULL,
    event TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (follower, event)
);
CREATE TABLE IF NOT EXISTS achievements (
    runner TEXT NOT NULL,
    badge TEXT NOT NULL,
    run TEXT NOT NULL,
    earned_at BIGINT NOT NULL,
    PRIMARY KEY (runner, badge)
);
CREATE INDEX IF NOT EXISTS achievements_by_time ON achievements (earned_at, runner, badge);
CREATE TABLE IF NOT EXISTS recaps (
    runner TEXT NOT NULL,
    span TEXT NOT NULL,
    begins_at BIGINT NOT NULL,
    taken_until BIGINT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (runner, span, begins_at)
);
-- What was posted to Slack.
CREATE TABLE IF NOT EXISTS notices (
    event TEXT PRIMARY KEY,
    ts TEXT NOT NULL
);
-- What stays as it was when the club was opened first.
CREATE TABLE IF NOT EXISTS settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
