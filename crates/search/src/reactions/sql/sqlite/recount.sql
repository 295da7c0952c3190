-- ?1: the item
INSERT INTO pumasi_reaction_count (item, likes, dislikes)
SELECT ?1, count(*) FILTER (WHERE reaction = 1), count(*) FILTER (WHERE reaction = 2) FROM pumasi_reaction WHERE item = ?1
ON CONFLICT (item) DO UPDATE SET likes = excluded.likes, dislikes = excluded.dislikes
