SELECT max(e.occurred_at)
FROM pumasi_projection p
JOIN pumasi_projection_entity e ON e.projection = p.name AND e.generation = p.serving
WHERE p.name = ?1
