-- $1: whose, $2: of weeks or months, $3: before which, $4: how many
SELECT begins_at, taken_until, figures FROM recaps
WHERE runner = $1 AND span = $2 AND begins_at < $3
ORDER BY begins_at DESC LIMIT $4
