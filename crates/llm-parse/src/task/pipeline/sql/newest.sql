-- The newest first. $1 and $6: before which, otherwise as `list.sql`
SELECT record FROM pumasi_post_tasks
WHERE (posted_at, post_id) < ($6, $1) AND ((CAST($2 AS TEXT) IS NULL AND state NOT IN ($3, $4)) OR state = $2)
ORDER BY posted_at DESC, post_id DESC LIMIT $5
