DELETE FROM entrants
WHERE race = $1 AND registration = $2 AND (SELECT draw IS NULL FROM races WHERE id = $1 FOR SHARE)
