-- What waits. One writer at a time makes seq grow in the order of the commits.
CREATE TABLE pumasi_outbox_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    body TEXT NOT NULL
);
-- Ends with the rowid, and so lists a shard in order.
CREATE INDEX pumasi_outbox_event_shard ON pumasi_outbox_event (shard);

-- Who holds a shard, from when and until when.
CREATE TABLE pumasi_outbox_shard (
    shard INTEGER PRIMARY KEY,
    holder INTEGER NOT NULL DEFAULT 0,
    since INTEGER NOT NULL DEFAULT 0,
    free_at INTEGER NOT NULL DEFAULT 0
);
INSERT INTO pumasi_outbox_shard (shard)
WITH RECURSIVE n (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM n WHERE shard < 63) SELECT shard FROM n;

CREATE TABLE pumasi_outbox_refused (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    body TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    refused_at INTEGER NOT NULL
);

INSERT INTO pumasi_outbox_schema VALUES (1);
