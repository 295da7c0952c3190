DELETE FROM asks WHERE event_id IN (SELECT event_id FROM asks WHERE asked_at < $1 ORDER BY asked_at LIMIT $2)
