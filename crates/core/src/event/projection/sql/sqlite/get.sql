SELECT e.key, e.version, e.occurred_at, e.payload
FROM pumasi_projection p
JOIN pumasi_projection_entity e ON e.projection = p.name AND e.generation = p.serving
WHERE p.name = ?1 AND e.key IN (SELECT value FROM json_each(?2)) AND NOT e.deleted
