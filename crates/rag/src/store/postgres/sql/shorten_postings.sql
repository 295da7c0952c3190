UPDATE pumasi_rag_posting p SET data = shorter.data
FROM unnest($2::INTEGER[], $3::BIGINT[], $4::BYTEA[]) AS shorter (term, batch, data)
WHERE p.tenant = $1 AND p.term = shorter.term AND p.batch = shorter.batch
