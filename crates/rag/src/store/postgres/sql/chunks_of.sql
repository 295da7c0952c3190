SELECT c.chunk, c.terms
FROM unnest($2::BIGINT[], $3::BIGINT[]) AS taken (first, past)
JOIN pumasi_rag_chunk c ON c.tenant = $1 AND c.chunk >= taken.first AND c.chunk < taken.past
