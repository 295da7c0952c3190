CREATE TABLE pumasi_event_schema (version INTEGER NOT NULL);
INSERT INTO pumasi_event_schema VALUES (1);

-- Every event once, in the order of publishing.
CREATE TABLE pumasi_event_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    published_at INTEGER NOT NULL
);
-- Ends with the rowid, and so lists a topic in order.
CREATE INDEX pumasi_event_log_topic ON pumasi_event_log (topic);

-- The ids of events that were cleaned up, so that publishing one again is still recognised.
CREATE TABLE pumasi_event_known (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE
);
CREATE TRIGGER pumasi_event_remember AFTER DELETE ON pumasi_event_log BEGIN
    INSERT INTO pumasi_event_known (id) VALUES (OLD.id) ON CONFLICT DO NOTHING;
END;

-- A group on a topic has taken everything up to its cursor into its own tables.
CREATE TABLE pumasi_event_subscription (
    sub INTEGER PRIMARY KEY,
    grp TEXT NOT NULL,
    topic TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    UNIQUE (grp, topic)
);

-- What a group has taken and not settled. A row is handed out while its fence is its lane's.
CREATE TABLE pumasi_event_delivery (
    sub INTEGER NOT NULL,
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (sub, key, seq)
) WITHOUT ROWID;

-- One row per key with unsettled events: when it may be handed out (the end of a delay or of a lease), since when that
-- stands, under which fence it is out, and how many of its events are.
CREATE TABLE pumasi_event_lane (
    sub INTEGER NOT NULL,
    key TEXT NOT NULL,
    available_at INTEGER NOT NULL,
    since INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    held INTEGER NOT NULL,
    PRIMARY KEY (sub, key)
) WITHOUT ROWID;
CREATE INDEX pumasi_event_lane_available ON pumasi_event_lane (sub, available_at);
CREATE TRIGGER pumasi_event_open_lane AFTER INSERT ON pumasi_event_delivery BEGIN
    INSERT INTO pumasi_event_lane (sub, key, available_at, since, fence, held)
    VALUES (NEW.sub, NEW.key, NEW.taken_at, NEW.taken_at, 0, 0)
    ON CONFLICT DO NOTHING;
END;

CREATE TABLE pumasi_event_dead (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    sub INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (sub, seq)
);

CREATE TABLE pumasi_event_fence (n INTEGER NOT NULL);
INSERT INTO pumasi_event_fence VALUES (0);
