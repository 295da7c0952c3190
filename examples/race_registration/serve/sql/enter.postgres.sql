-- Shared with other entrants, and waiting for a draw that is under way.
INSERT INTO entrants (race, registration)
SELECT id, $2 FROM races WHERE id = $1 AND draw IS NULL FOR SHARE
ON CONFLICT DO NOTHING
