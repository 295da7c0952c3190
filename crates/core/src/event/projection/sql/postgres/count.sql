SELECT count(*) FROM pumasi_projection_entity WHERE projection = $1 AND generation = $2 AND NOT deleted
