SELECT name, total, last, count(*) FILTER (WHERE until > $2), count(*) FILTER (WHERE ticket IS NOT NULL AND until IS NULL)
FROM pumasi_capacity_pool LEFT JOIN pumasi_capacity_hold ON pool = no
WHERE name = ANY ($1)
GROUP BY no, name, total, last
