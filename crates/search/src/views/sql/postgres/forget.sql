-- $1: the item, whose total is locked. Its marks are looked up in each window, of which there are few.
WITH RECURSIVE kept ("window") AS (
    SELECT min("window") FROM pumasi_view_mark
    UNION ALL
    SELECT (SELECT min("window") FROM pumasi_view_mark WHERE "window" > kept."window")
    FROM kept WHERE kept."window" IS NOT NULL
)
DELETE FROM pumasi_view_mark
WHERE item = $1 AND "window" IN (SELECT "window" FROM kept WHERE "window" IS NOT NULL)
