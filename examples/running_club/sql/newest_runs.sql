-- $1: whose, $2 and $3: before which, $4: how many
SELECT id, runner, crew, began_at, distance_m, time_s, recorded_at
FROM runs
WHERE runner = $1 AND (began_at < $2 OR (began_at = $2 AND id < $3))
ORDER BY began_at DESC, id DESC
LIMIT $4
