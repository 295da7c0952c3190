INSERT INTO recaps (runner, span, begins_at, taken_until, figures) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (runner, span, begins_at) DO UPDATE SET taken_until = excluded.taken_until, figures = excluded.figures
WHERE recaps.taken_until <= excluded.taken_until
