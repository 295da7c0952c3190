CREATE TABLE pumasi_inbox_event (
    grp text NOT NULL,
    id uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (grp, id)
);
CREATE INDEX pumasi_inbox_event_age ON pumasi_inbox_event (handled_at);

INSERT INTO pumasi_inbox_schema VALUES (1);
