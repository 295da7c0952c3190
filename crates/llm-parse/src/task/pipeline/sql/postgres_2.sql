-- Microseconds since the epoch; 0 where nobody knows.
ALTER TABLE pumasi_post_tasks ADD COLUMN posted_at BIGINT NOT NULL DEFAULT 0;
-- A record may hold what PostgreSQL's JSON has no letter for, so it is looked at as text: within one, quotes are escaped.
UPDATE pumasi_post_tasks
SET posted_at = (extract(epoch FROM substring(record FROM '"posted_at":"([^"\\]+)"')::timestamptz) * 1000000)::bigint
WHERE record ~ '"posted_at":"[^"\\]+"';
CREATE INDEX pumasi_post_tasks_by_time ON pumasi_post_tasks (posted_at, post_id);
INSERT INTO pumasi_post_tasks_schema VALUES (2);
