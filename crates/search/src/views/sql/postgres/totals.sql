SELECT coalesce(total, 0) FROM unnest($1::text[]) WITH ORDINALITY AS wanted (item, nr)
LEFT JOIN pumasi_view_total USING (item) ORDER BY nr
