-- Lists of vectors that are near one another: where they stand, and which vectors of a segment are in which. Both are made anew from the
-- segments where they are missing; those of another generation than the centres' are not used.
CREATE TABLE pumasi_rag_centres (
    tenant INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE pumasi_rag_lists (
    segment INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX pumasi_rag_lists_tenant ON pumasi_rag_lists (tenant);

INSERT INTO pumasi_rag_schema VALUES (4);
