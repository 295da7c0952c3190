-- $1: seconds to keep, $2: rows to keep at most, $3: rows to delete at most
DELETE FROM pumasi_inbox_event WHERE ctid IN (
    SELECT ctid FROM pumasi_inbox_event
    WHERE handled_at < clock_timestamp() - make_interval(secs => $1)
        OR handled_at <= (SELECT handled_at FROM pumasi_inbox_event ORDER BY handled_at DESC OFFSET $2 LIMIT 1)
    ORDER BY handled_at
    LIMIT $3
)
