SELECT count(*) FROM pumasi_projection_entity AS served
WHERE projection = ?1 AND generation = ?2 AND NOT deleted AND NOT EXISTS (
    SELECT 1 FROM pumasi_projection_entity AS built
    WHERE built.projection = ?1 AND built.generation = ?3 AND built.key = served.key
)
