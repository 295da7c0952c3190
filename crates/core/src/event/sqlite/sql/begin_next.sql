-- Unless what was settled (?4) was not the first, and so the first is begun already.
UPDATE pumasi_event_delivery SET attempts = attempts + 1
WHERE sub = ?1 AND key = ?2 AND seq = (
    SELECT seq FROM pumasi_event_delivery
    WHERE sub = ?1 AND key = ?2 AND fence = ?3
    ORDER BY seq
    LIMIT 1
) AND seq > ?4
