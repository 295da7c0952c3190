-- For queries by age; both stand in the row, too. Rows of before have none until the file is opened.
ALTER TABLE pumasi_saga ADD COLUMN created_at INTEGER;
ALTER TABLE pumasi_saga ADD COLUMN since INTEGER;
CREATE INDEX pumasi_saga_created ON pumasi_saga (created_at);
-- What is done with is not looked for by how long it has been.
CREATE INDEX pumasi_saga_standing ON pumasi_saga (since) WHERE status < 5;

INSERT INTO pumasi_saga_schema VALUES (2);
