-- $1: the item. Views of it wait until the transaction ends, their marks not yet to be seen; those before have committed both.
INSERT INTO pumasi_view_total AS kept (item, total) VALUES ($1, 0)
ON CONFLICT (item) DO UPDATE SET total = kept.total
