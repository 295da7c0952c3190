-- Rows of generations that are neither read nor built any more.
DELETE FROM pumasi_projection_entity WHERE rowid IN (
    SELECT e.rowid FROM pumasi_projection p
    JOIN pumasi_projection_entity e ON e.projection = p.name
    WHERE p.name = ?1 AND e.generation <> p.serving AND e.generation IS NOT p.building
    LIMIT ?2
)
