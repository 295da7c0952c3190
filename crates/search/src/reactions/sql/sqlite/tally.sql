-- ?1: pairs of an item and a person
SELECT coalesce(own.reaction, 0), coalesce(count.likes, 0), coalesce(count.dislikes, 0)
FROM json_each(?1) AS vote
LEFT JOIN pumasi_reaction AS own ON own.item = vote.value ->> 0 AND own.person = vote.value ->> 1
LEFT JOIN pumasi_reaction_count AS count ON count.item = vote.value ->> 0
ORDER BY vote.key
