-- ?1: the window, ?2: the item, ?3: the mark. No row is changed if the mark has counted.
INSERT INTO pumasi_view_mark ("window", item, mark) VALUES (?1, ?2, ?3)
ON CONFLICT ("window", item, mark) DO NOTHING
