-- $1: ids, as a list in JSON
SELECT id, author, sky, text, lat, lon, at FROM posts
WHERE id IN (SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS wanted (value)) ORDER BY id DESC
