INSERT INTO pumasi_rag_posting AS p (tenant, term, batch, data)
SELECT $1, * FROM unnest($2::INTEGER[], $3::BIGINT[], $4::BYTEA[])
ON CONFLICT (tenant, term, batch) DO UPDATE SET data = p.data || excluded.data
