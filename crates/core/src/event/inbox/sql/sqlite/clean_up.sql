-- ?1: the moment before which none is kept, ?2: rows to keep at most, ?3: rows to delete at most
DELETE FROM pumasi_inbox_event WHERE (grp, id) IN (
    SELECT grp, id FROM pumasi_inbox_event
    WHERE handled_at < ?1
        OR handled_at <= (SELECT handled_at FROM pumasi_inbox_event ORDER BY handled_at DESC LIMIT 1 OFFSET ?2)
    ORDER BY handled_at
    LIMIT ?3
)
