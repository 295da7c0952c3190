-- The window first: what is over is one stretch of the index.
CREATE TABLE pumasi_view_mark (
    "window" bigint NOT NULL,
    item text NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY ("window", item, mark)
);

CREATE TABLE pumasi_view_total (
    item text PRIMARY KEY,
    total bigint NOT NULL
) WITH (fillfactor = 50);

INSERT INTO pumasi_view_schema VALUES (1);
