SELECT saga, seq, name, id, payload, at FROM pumasi_saga_signal
WHERE saga IN (SELECT value FROM json_each(?1))
ORDER BY seq
