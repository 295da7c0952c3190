-- Rows of before have none, until they are committed: they are taken to have stood as they do since their last commit.
ALTER TABLE pumasi_saga ADD COLUMN IF NOT EXISTS since bigint;
-- Neither costs a commit anything: when a saga was created never changes, and rows stay about where they were written, so that an index of
-- pages finds the old ones; and what is done with is not in the second, nor is what goes forward. An index of since would have every
-- commit touch all indexes.
CREATE INDEX pumasi_saga_created ON pumasi_saga USING brin (created_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX pumasi_saga_open ON pumasi_saga (status) WHERE status IN (1, 2, 3, 4);

INSERT INTO pumasi_saga_schema VALUES (2);
