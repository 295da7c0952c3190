-- The chunks first, by their ids: a server that has not counted its rows yet would begin with all documents of the tenant.
WITH wanted AS MATERIALIZED (
    SELECT c.tenant, c.id, c.document, c.section, c.span_start, c.span_end, c.embedding
    FROM pumasi_rag_chunk c
    WHERE c.tenant = (SELECT t.tenant FROM pumasi_rag_tenant t WHERE t.name = $1) AND c.id = ANY($2::BYTEA[])
)
SELECT w.id, w.document, w.span_start, w.span_end, pgvector.vector_send(w.embedding), d.record, s.start, s.headings, s.text
FROM wanted w
JOIN pumasi_rag_document d ON d.tenant = w.tenant AND d.document = w.document
JOIN pumasi_rag_section s ON s.tenant = w.tenant AND s.document = w.document AND s.section = w.section
