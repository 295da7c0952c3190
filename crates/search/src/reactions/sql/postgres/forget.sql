-- $1: the item. Rows are locked in the order in which votes lock them; those of votes that are cast meanwhile stay. Answers how many
-- likes and dislikes are gone.
WITH locked AS (
    SELECT person FROM pumasi_reaction WHERE item = $1 ORDER BY person COLLATE "C" FOR UPDATE
), votes AS (
    DELETE FROM pumasi_reaction AS vote USING locked WHERE vote.item = $1 AND vote.person = locked.person
    RETURNING vote.reaction
)
SELECT count(*) FILTER (WHERE reaction = 1), count(*) FILTER (WHERE reaction = 2) FROM votes
