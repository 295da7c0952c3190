SELECT tenant, version, chunks, terms, mean_length, taken_at, next_document, next_chunk
FROM pumasi_rag_tenant WHERE name = $1
