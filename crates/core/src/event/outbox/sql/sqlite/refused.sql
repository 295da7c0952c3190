SELECT position, body, kind, message, refused_at FROM pumasi_outbox_refused
WHERE position > ?1
ORDER BY position
LIMIT ?2
