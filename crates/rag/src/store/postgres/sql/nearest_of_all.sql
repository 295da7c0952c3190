SELECT id, pgvector.vector_send(embedding) FROM (
    SELECT c.id, c.embedding FROM pumasi_rag_chunk c
    WHERE c.tenant = $2
    ORDER BY -(c.embedding OPERATOR(pgvector.<#>) $1::REAL[]::pgvector.vector) DESC, c.id
    LIMIT $3
) AS nearest
