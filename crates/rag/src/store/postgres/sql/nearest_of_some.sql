SELECT id, pgvector.vector_send(embedding) FROM (
    SELECT c.id, c.embedding
    FROM unnest($4::BIGINT[], $5::BIGINT[]) AS admitted (first, past)
    JOIN pumasi_rag_chunk c ON c.tenant = $2 AND c.chunk >= admitted.first AND c.chunk < admitted.past
    ORDER BY -(c.embedding OPERATOR(pgvector.<#>) $1::REAL[]::pgvector.vector) DESC, c.id
    LIMIT $3
) AS nearest
