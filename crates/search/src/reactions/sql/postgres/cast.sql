-- $1, $2: items and persons, in order, each pair once, $3: reactions, $4: moments
INSERT INTO pumasi_reaction AS kept (item, person, reaction, at)
SELECT vote.item, vote.person, vote.reaction, vote.at
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) WITH ORDINALITY AS vote (item, person, reaction, at, nr)
ORDER BY vote.nr
ON CONFLICT (item, person) DO UPDATE SET reaction = excluded.reaction, at = excluded.at
WHERE excluded.at >= kept.at
