SELECT no, version, epoch, token, holder, (SELECT until FROM pumasi_saga_worker WHERE id = holder)
FROM pumasi_saga WHERE id = ?1
