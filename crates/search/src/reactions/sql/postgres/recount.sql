-- $1: the item, whose count is locked: votes that were counted before that are seen, and others are counted after it
UPDATE pumasi_reaction_count SET (likes, dislikes) = (
    SELECT count(*) FILTER (WHERE reaction = 1), count(*) FILTER (WHERE reaction = 2) FROM pumasi_reaction WHERE item = $1
) WHERE item = $1
