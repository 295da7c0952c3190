SELECT p.term, p.batch, p.data
FROM unnest($2::INTEGER[], $3::BIGINT[]) AS taken (term, batch)
JOIN pumasi_rag_posting p ON p.tenant = $1 AND p.term = taken.term AND p.batch = taken.batch
