-- Sections had a table without row numbers, where what is longer than a quarter of a page goes on in a page of its own.
ALTER TABLE pumasi_rag_section RENAME TO pumasi_rag_section_1;
CREATE TABLE pumasi_rag_section (
    document INTEGER NOT NULL,
    section INTEGER NOT NULL,
    start INTEGER NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (document, section)
);
INSERT INTO pumasi_rag_section SELECT document, section, start, headings, text FROM pumasi_rag_section_1 ORDER BY document, section;
DROP TABLE pumasi_rag_section_1;

INSERT INTO pumasi_rag_schema VALUES (2);
