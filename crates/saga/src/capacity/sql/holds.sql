SELECT holder, ticket, until FROM pumasi_capacity_hold
WHERE pool = (SELECT no FROM pumasi_capacity_pool WHERE name = $1) AND ticket > $2 AND (until IS NULL OR until > $4)
ORDER BY ticket LIMIT $3
