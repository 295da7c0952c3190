INSERT INTO pumasi_event_log (id, topic, key, body, published_at)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, ?2
FROM json_each(?1) AS event
WHERE NOT EXISTS (SELECT 1 FROM pumasi_event_known WHERE id = unhex(event.value ->> 0))
ORDER BY event.key
ON CONFLICT (id) DO NOTHING
