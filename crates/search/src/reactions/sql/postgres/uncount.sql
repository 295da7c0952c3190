-- $1: the item, $2, $3: how many likes and dislikes are gone
UPDATE pumasi_reaction_count SET likes = likes - $2, dislikes = dislikes - $3 WHERE item = $1
