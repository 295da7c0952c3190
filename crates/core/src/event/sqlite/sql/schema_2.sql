-- The number of a subscription that is gone is given to no other: members of a forgotten group may still hold it.
ALTER TABLE pumasi_event_subscription RENAME TO pumasi_event_subscription_1;
CREATE TABLE pumasi_event_subscription (
    sub INTEGER PRIMARY KEY AUTOINCREMENT,
    grp TEXT NOT NULL,
    topic TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    UNIQUE (grp, topic)
);
INSERT INTO pumasi_event_subscription SELECT sub, grp, topic, cursor FROM pumasi_event_subscription_1;
DROP TABLE pumasi_event_subscription_1;

-- For the clean-up, which begins with the oldest.
CREATE INDEX pumasi_event_log_published ON pumasi_event_log (published_at);

UPDATE pumasi_event_schema SET version = 2;
