INSERT INTO pumasi_capacity_pool (name, total) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET total = excluded.total
