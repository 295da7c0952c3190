-- $1, $2: items and persons
SELECT coalesce(own.reaction, 0)::bigint, coalesce(count.likes, 0), coalesce(count.dislikes, 0)
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS vote (item, person, nr)
LEFT JOIN pumasi_reaction AS own ON own.item = vote.item AND own.person = vote.person
LEFT JOIN pumasi_reaction_count AS count ON count.item = vote.item
ORDER BY vote.nr
