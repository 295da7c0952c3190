DELETE FROM pumasi_projection_entity WHERE rowid IN (
    SELECT rowid FROM pumasi_projection_entity WHERE projection = ?1 AND deleted AND occurred_at < ?2 LIMIT ?3
)
