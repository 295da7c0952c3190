-- Microseconds since the epoch; 0 where nobody knows.
ALTER TABLE pumasi_post_tasks ADD COLUMN posted_at INTEGER NOT NULL DEFAULT 0;
-- As RFC 3339 in UTC a record has as many digits of a second as there are.
UPDATE pumasi_post_tasks
SET posted_at = unixepoch(substr(record ->> '$.posted_at', 1, 19)) * 1000000
    + CAST(substr(rtrim(substr(record ->> '$.posted_at', 21), 'Z') || '000000', 1, 6) AS INTEGER)
WHERE record ->> '$.posted_at' IS NOT NULL;
CREATE INDEX pumasi_post_tasks_by_time ON pumasi_post_tasks (posted_at, post_id);
INSERT INTO pumasi_post_tasks_schema VALUES (2);
