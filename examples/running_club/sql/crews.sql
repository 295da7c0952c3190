-- $1: after which, $2: how many
SELECT name, founder, (SELECT count(*) FROM crew_members WHERE crew = crews.name) AS members
FROM crews WHERE name > $1 ORDER BY name LIMIT $2
