-- $1: whose, $2: from, $3: to, $4: recorded before
SELECT id, runner, crew, began_at, distance_m, time_s, recorded_at
FROM runs
WHERE runner = $1 AND began_at >= $2 AND began_at < $3 AND recorded_at < $4
ORDER BY began_at, id
