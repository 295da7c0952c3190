-- $1: ids, as a list in JSON
SELECT id, author, sky, text, lat, lon, at FROM posts
WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id DESC
