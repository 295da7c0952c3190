SELECT count(*), min(written_at), (SELECT count(*) FROM pumasi_outbox_refused) FROM pumasi_outbox_event
