SELECT holder, ticket, until FROM pumasi_capacity_hold
WHERE pool = ?1 AND holder IN (SELECT value FROM json_each(?2))
