-- Whoever lives has renewed within a day; younger ones may hold what only the journal knows.
DELETE FROM pumasi_saga_worker
WHERE until <= ?1 - 86400000000 AND NOT EXISTS (SELECT 1 FROM pumasi_saga WHERE holder = pumasi_saga_worker.id)
