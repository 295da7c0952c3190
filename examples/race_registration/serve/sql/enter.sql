INSERT INTO entrants (race, registration)
SELECT id, $2 FROM races WHERE id = $1 AND draw IS NULL
ON CONFLICT DO NOTHING
