SELECT orders.*, entries.title
FROM orders
LEFT JOIN entries ON entries.id = orders.entry
WHERE ($1 IS NULL OR orders.person = $1) AND ($2 IS NULL OR orders.id < $2)
ORDER BY orders.id DESC
LIMIT $3
