SELECT c.document, c.id, c.section, c.span_start, c.span_end, pgvector.vector_send(c.embedding), c.terms
FROM unnest($2::BIGINT[], $3::BIGINT[]) AS wanted (first, past)
JOIN pumasi_rag_chunk c ON c.tenant = $1 AND c.chunk >= wanted.first AND c.chunk < wanted.past
ORDER BY c.chunk
