INSERT INTO turns (race, place, registration)
SELECT $1, one.key + 1, one.value FROM json_each($2) AS one
