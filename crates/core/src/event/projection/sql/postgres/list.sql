SELECT e.key, e.version, e.occurred_at, e.payload::text
FROM pumasi_projection p
JOIN pumasi_projection_entity e ON e.projection = p.name AND e.generation = p.serving
WHERE p.name = $1 AND ($2::text IS NULL OR e.key > $2) AND NOT e.deleted
ORDER BY e.key
LIMIT $3
