SELECT least(
    (SELECT min(wake) FROM pumasi_saga WHERE wake IS NOT NULL),
    (SELECT min(until) FROM pumasi_saga_worker AS w WHERE EXISTS (SELECT 1 FROM pumasi_saga WHERE holder = w.id))
)
