-- Which vectors the tables hold, and which index is over them. The column of vectors is added with the first row, when their length
-- is known.
CREATE TABLE pumasi_rag (
    space TEXT NOT NULL,
    vector_index TEXT NOT NULL
);
CREATE UNIQUE INDEX pumasi_rag_one ON pumasi_rag ((TRUE));

-- How a tenant stands: its row is locked by whoever writes. Numbers of documents and chunks are used once.
CREATE TABLE pumasi_rag_tenant (
    tenant INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version BIGINT NOT NULL DEFAULT 0,
    chunks BIGINT NOT NULL DEFAULT 0,
    terms BIGINT NOT NULL DEFAULT 0,
    mean_length REAL NOT NULL DEFAULT 0,
    taken_at BIGINT NOT NULL DEFAULT 0,
    next_document BIGINT NOT NULL DEFAULT 0,
    next_chunk BIGINT NOT NULL DEFAULT 0
);

-- A document's chunks have numbers in a row. The record is JSON as it was put, which JSONB would not keep; the fields are its metadata
-- in the form that filters ask.
CREATE TABLE pumasi_rag_document (
    tenant INTEGER NOT NULL,
    document BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    first_chunk BIGINT NOT NULL,
    past_chunk BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    record TEXT NOT NULL,
    fields JSONB NOT NULL,
    PRIMARY KEY (tenant, document)
);
CREATE UNIQUE INDEX pumasi_rag_document_id ON pumasi_rag_document (tenant, id);
CREATE INDEX pumasi_rag_document_fields ON pumasi_rag_document USING gin (fields jsonb_path_ops);

-- Bytes, because a text of PostgreSQL's cannot have a NUL, and a document's can.
CREATE TABLE pumasi_rag_section (
    tenant INTEGER NOT NULL,
    document BIGINT NOT NULL,
    section INTEGER NOT NULL,
    start BIGINT NOT NULL,
    headings TEXT NOT NULL,
    text BYTEA NOT NULL,
    PRIMARY KEY (tenant, document, section)
);

-- A row stays whole where it fits a page, so that a scan of the vectors reads nothing else.
CREATE TABLE pumasi_rag_chunk (
    tenant INTEGER NOT NULL,
    chunk BIGINT NOT NULL,
    document BIGINT NOT NULL,
    section INTEGER NOT NULL,
    span_start BIGINT NOT NULL,
    span_end BIGINT NOT NULL,
    id BYTEA NOT NULL,
    terms BYTEA NOT NULL,
    PRIMARY KEY (tenant, chunk)
) WITH (toast_tuple_target = 8160);
CREATE INDEX pumasi_rag_chunk_id ON pumasi_rag_chunk (tenant, id);

-- Which of 256 chunks in a row (a batch) hold a term, how often, and how long each is.
CREATE TABLE pumasi_rag_posting (
    tenant INTEGER NOT NULL,
    term INTEGER NOT NULL,
    batch BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (tenant, term, batch)
);

INSERT INTO pumasi_rag_schema VALUES (1);
