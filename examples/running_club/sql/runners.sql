-- Who ran from $1 on and before $2, as far as it was recorded before $3; after $4, $5 of them
SELECT DISTINCT runner FROM runs
WHERE began_at >= $1 AND began_at < $2 AND recorded_at < $3 AND runner > $4
ORDER BY runner LIMIT $5
