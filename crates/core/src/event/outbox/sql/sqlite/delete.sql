DELETE FROM pumasi_outbox_event WHERE seq IN (SELECT value FROM json_each(?1))
