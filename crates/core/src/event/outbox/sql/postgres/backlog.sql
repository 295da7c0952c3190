SELECT count(*), extract(epoch FROM clock_timestamp() - min(written_at))::float8,
    (SELECT count(*) FROM pumasi_outbox_refused)
FROM pumasi_outbox_event
