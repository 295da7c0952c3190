-- $1: who asks, $2: before which, $3: how many
SELECT id, title, lat, lon, radius_m, (SELECT count(*) FROM proofs WHERE mission = missions.id) AS proven,
    EXISTS (SELECT 1 FROM proofs WHERE mission = missions.id AND person = $1) AS mine
FROM missions WHERE id < $2 ORDER BY id DESC LIMIT $3
