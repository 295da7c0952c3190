-- By identifier. $1: after which, $2: in which state, $3 and $4: without which if in any, $5: how many
SELECT record FROM pumasi_post_tasks
WHERE post_id > $1 AND ((CAST($2 AS TEXT) IS NULL AND state NOT IN ($3, $4)) OR state = $2)
ORDER BY post_id LIMIT $5
