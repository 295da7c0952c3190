SELECT e.key, e.version, e.occurred_at, e.payload::text
FROM pumasi_projection p
JOIN pumasi_projection_entity e ON e.projection = p.name AND e.generation = p.serving
WHERE p.name = $1 AND e.key = ANY($2::text[]) AND NOT e.deleted
