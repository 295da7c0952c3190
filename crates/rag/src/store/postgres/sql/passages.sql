SELECT c.id, c.document, c.span_start, c.span_end, vector_send(c.embedding), d.record, s.start, s.headings, s.text
FROM pumasi_rag_tenant t
JOIN pumasi_rag_chunk c ON c.tenant = t.tenant AND c.id = ANY($2::BYTEA[])
JOIN pumasi_rag_document d ON d.tenant = c.tenant AND d.document = c.document
JOIN pumasi_rag_section s ON s.tenant = c.tenant AND s.document = c.document AND s.section = c.section
WHERE t.name = $1
