SELECT id, vector_send(embedding) FROM (
    SELECT c.id, c.embedding FROM pumasi_rag_chunk c
    WHERE c.tenant = $2
    ORDER BY -(c.embedding <#> $1::REAL[]::vector) DESC, c.id
    LIMIT $3
) AS nearest
