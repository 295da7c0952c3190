-- $1: projection, $2: the one generation, or NULL for all that are current, $3: key, $4: version, $5: moment, $6: deleted,
-- $7: payload
INSERT INTO pumasi_projection_entity AS e (projection, generation, key, version, occurred_at, deleted, payload)
SELECT p.name, g.generation, $3, $4, $5, $6, $7::json
FROM pumasi_projection p
CROSS JOIN LATERAL (VALUES (p.serving), (p.building)) AS g (generation)
WHERE p.name = $1 AND g.generation IS NOT NULL AND ($2::bigint IS NULL OR g.generation = $2)
ON CONFLICT (projection, generation, key) DO UPDATE SET
    version = excluded.version,
    occurred_at = excluded.occurred_at,
    deleted = excluded.deleted,
    payload = excluded.payload
WHERE e.version < excluded.version
    OR (e.version = 0 AND excluded.version = 0 AND e.occurred_at < excluded.occurred_at)
RETURNING e.generation
