WITH replaced AS (
    DELETE FROM pumasi_saga_record WHERE saga = $1 AND version < $2 AND $4::boolean
)
INSERT INTO pumasi_saga_record (saga, version, record) SELECT $1, $2, $3 WHERE $3::bytea IS NOT NULL
