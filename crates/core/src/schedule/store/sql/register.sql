INSERT INTO pumasi_schedule_job (name, cursor_at, paused, fence) VALUES ($1, $2, FALSE, 0) ON CONFLICT (name) DO NOTHING
