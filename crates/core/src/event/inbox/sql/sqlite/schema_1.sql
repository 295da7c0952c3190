CREATE TABLE pumasi_inbox_event (
    grp TEXT NOT NULL,
    id BLOB NOT NULL,
    handled_at INTEGER NOT NULL,
    PRIMARY KEY (grp, id)
) WITHOUT ROWID;
CREATE INDEX pumasi_inbox_event_age ON pumasi_inbox_event (handled_at);

INSERT INTO pumasi_inbox_schema VALUES (1);
