DELETE FROM pumasi_saga_worker WHERE until <= ?1 AND NOT EXISTS (SELECT 1 FROM pumasi_saga WHERE holder = pumasi_saga_worker.id)
