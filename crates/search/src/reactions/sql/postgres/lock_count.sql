-- $1: the item
INSERT INTO pumasi_reaction_count AS kept (item, likes, dislikes) VALUES ($1, 0, 0)
ON CONFLICT (item) DO UPDATE SET likes = kept.likes
