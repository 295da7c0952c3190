    , coalesce((SELECT string_agg(record, ''::bytea ORDER BY r.version) FROM pumasi_saga_record AS r WHERE r.saga = s.no), '')
        || CASE WHEN s.loose < 4 THEN tail_1 || tail_2 || tail_3 || tail_4 ELSE '' END AS log,
    signals.*
FROM at, pumasi_saga AS s
LEFT JOIN LATERAL (
    SELECT array_agg(g.seq ORDER BY seq) AS seqs, array_agg(g.name ORDER BY seq) AS names,
        array_agg(g.id ORDER BY seq) AS ids, array_agg(g.payload ORDER BY seq) AS payloads,
        array_agg(g.at ORDER BY seq) AS ats
    FROM pumasi_saga_signal AS g WHERE g.saga = s.no
) AS signals ON true
WHERE
