DELETE FROM pumasi_rag_chunk c
USING unnest($2::BIGINT[], $3::BIGINT[]) AS taken (first, past)
WHERE c.tenant = $1 AND c.chunk >= taken.first AND c.chunk < taken.past
