-- ?1: projection, ?2: the one generation, or NULL for all that are current, ?3: key, ?4: version, ?5: moment, ?6: deleted,
-- ?7: payload
INSERT INTO pumasi_projection_entity (projection, generation, key, version, occurred_at, deleted, payload)
SELECT p.name, g.generation, ?3, ?4, ?5, ?6, ?7
FROM pumasi_projection p
JOIN (
    SELECT name, serving AS generation FROM pumasi_projection
    UNION ALL SELECT name, building FROM pumasi_projection WHERE building IS NOT NULL
) AS g ON g.name = p.name
WHERE p.name = ?1 AND (?2 IS NULL OR g.generation = ?2)
ON CONFLICT (projection, generation, key) DO UPDATE SET
    version = excluded.version,
    occurred_at = excluded.occurred_at,
    deleted = excluded.deleted,
    payload = excluded.payload
WHERE version < excluded.version
    OR (version = 0 AND excluded.version = 0 AND occurred_at < excluded.occurred_at)
RETURNING generation
