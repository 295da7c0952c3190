-- $1: the window, $2: the item, $3: the mark. No row is answered if the mark has counted.
WITH new AS (
    INSERT INTO pumasi_view_mark ("window", item, mark) VALUES ($1, $2, $3)
    ON CONFLICT ("window", item, mark) DO NOTHING RETURNING item
)
INSERT INTO pumasi_view_total AS kept (item, total) SELECT item, 1 FROM new
ON CONFLICT (item) DO UPDATE SET total = kept.total + 1
RETURNING total
