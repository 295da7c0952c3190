WITH gone AS (DELETE FROM pumasi_saga WHERE no = ANY ($1::bigint[]) RETURNING no)
DELETE FROM pumasi_saga_record WHERE saga IN (SELECT no FROM gone)
