-- A statement of its own: the one that claims may have begun before the last holder deleted what it relayed.
SELECT e.shard, e.seq, e.body
FROM unnest($1::smallint[]) AS claimed (shard)
CROSS JOIN LATERAL (
    SELECT x.shard, x.seq, x.body FROM pumasi_outbox_event x
    WHERE x.shard = claimed.shard
    ORDER BY x.seq
    LIMIT $2
) AS e
ORDER BY e.shard, e.seq
