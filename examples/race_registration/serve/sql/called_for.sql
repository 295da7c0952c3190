SELECT races.id AS race, races.places, calls.due
FROM races LEFT JOIN calls ON calls.race = races.id
WHERE races.draw IS NOT NULL AND (calls.race IS NULL OR calls.done < calls.due)
ORDER BY races.id
