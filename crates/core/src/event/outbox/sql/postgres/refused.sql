SELECT position, body, kind, message, (extract(epoch FROM refused_at) * 1000000)::bigint
FROM pumasi_outbox_refused
WHERE position > $1
ORDER BY position
LIMIT $2
