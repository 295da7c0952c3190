INSERT INTO turns (race, place, registration)
SELECT $1, one.place, one.registration
FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY AS one (registration, place)
