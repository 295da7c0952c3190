-- The lock keeps everybody else from the row until the transaction ends.
SELECT no, version, epoch, token, holder,
    (SELECT until FROM pumasi_saga_worker AS w WHERE w.id = s.holder),
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
FROM pumasi_saga AS s WHERE id = $1 FOR UPDATE
