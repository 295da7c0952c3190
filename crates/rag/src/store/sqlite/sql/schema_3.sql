-- Vectors and sections may be packed, and segments are written shorter; what was written before is read as it is.
INSERT INTO pumasi_rag_schema VALUES (3);
