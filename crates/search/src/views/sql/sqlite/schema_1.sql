-- The window first: what is over is one stretch of the index.
CREATE TABLE pumasi_view_mark (
    "window" INTEGER NOT NULL,
    item TEXT NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY ("window", item, mark)
) WITHOUT ROWID;

CREATE TABLE pumasi_view_total (
    item TEXT PRIMARY KEY,
    total INTEGER NOT NULL
) WITHOUT ROWID;

-- A mark that is new counts: with its row, or not at all.
CREATE TRIGGER pumasi_view_counted AFTER INSERT ON pumasi_view_mark BEGIN
    INSERT INTO pumasi_view_total (item, total) VALUES (NEW.item, 1)
    ON CONFLICT (item) DO UPDATE SET total = total + 1;
END;

INSERT INTO pumasi_view_schema VALUES (1);
