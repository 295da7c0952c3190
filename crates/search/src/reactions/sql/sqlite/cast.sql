-- ?1: of each vote its item, person, reaction and moment
INSERT INTO pumasi_reaction (item, person, reaction, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)
WHERE true
ON CONFLICT (item, person) DO UPDATE SET reaction = excluded.reaction, at = excluded.at
WHERE excluded.at >= at
