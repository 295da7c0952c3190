-- ?1: items
SELECT coalesce(kept.total, 0) FROM json_each(?1) AS wanted
LEFT JOIN pumasi_view_total AS kept ON kept.item = wanted.value
ORDER BY wanted.key
