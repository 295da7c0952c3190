UPDATE pumasi_rag_tenant
SET version = $2, chunks = $3, terms = $4, mean_length = $5, taken_at = $6, next_document = $7, next_chunk = $8
WHERE tenant = $1
