-- Which vectors the file holds, and the numbers that are free: none is used twice.
CREATE TABLE pumasi_rag (
    space TEXT NOT NULL,
    next_document INTEGER NOT NULL,
    next_chunk INTEGER NOT NULL,
    next_segment INTEGER NOT NULL
);

-- The mean length that terms are weighed by, and how many chunks there were when it was taken.
CREATE TABLE pumasi_rag_tenant (
    tenant INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    mean_length REAL NOT NULL,
    taken_at INTEGER NOT NULL
);

-- What a tenant is searched by, in memory: documents, codes of vectors, postings; with a checksum.
CREATE TABLE pumasi_rag_segment (
    segment INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX pumasi_rag_segment_tenant ON pumasi_rag_segment (tenant);

-- Documents that are gone, until no segment has them any more.
CREATE TABLE pumasi_rag_gone (
    tenant INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (tenant, document)
) WITHOUT ROWID;

CREATE TABLE pumasi_rag_section (
    document INTEGER NOT NULL,
    section INTEGER NOT NULL,
    start INTEGER NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (document, section)
) WITHOUT ROWID;

-- The vectors whole, for what the codes found. A document's chunks have numbers in a row.
CREATE TABLE pumasi_rag_vector (
    chunk INTEGER PRIMARY KEY,
    vector BLOB NOT NULL
);

INSERT INTO pumasi_rag_schema VALUES (1);
