-- What every transaction needs: which entry the tables have and which is the journal's last, who has a lease, and the rows of ?1.
SELECT 0, settled, coalesce((SELECT max(no) FROM pumasi_saga_journal), settled), NULL, NULL FROM pumasi_saga_mark
UNION ALL
SELECT 1, until, NULL, id, NULL FROM pumasi_saga_worker
UNION ALL
SELECT 2, NULL, NULL, id, row FROM pumasi_saga WHERE id IN (SELECT unhex(value) FROM json_each(?1))
