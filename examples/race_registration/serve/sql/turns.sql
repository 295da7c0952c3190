SELECT place, registration, run FROM (
    SELECT place, registration, run, called FROM turns WHERE race = $1 AND NOT gone ORDER BY place LIMIT $2
) AS first
WHERE NOT called AND place > $3 ORDER BY place LIMIT $4
