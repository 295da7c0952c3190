DELETE FROM pumasi_rag_posting p
USING unnest($2::INTEGER[], $3::BIGINT[]) AS empty (term, batch)
WHERE p.tenant = $1 AND p.term = empty.term AND p.batch = empty.batch
