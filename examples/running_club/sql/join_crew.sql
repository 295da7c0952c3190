INSERT INTO crew_members (runner, crew) VALUES ($1, $2) ON CONFLICT (runner) DO UPDATE SET crew = excluded.crew
