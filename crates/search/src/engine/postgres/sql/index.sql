CREATE TABLE IF NOT EXISTS pumasi_search_index (
    name         text    NOT NULL,
    generation   bigint  NOT NULL,
    in_use       boolean NOT NULL,
    fingerprint  text    NOT NULL,
    applied      bigint,
    documents    bigint  NOT NULL DEFAULT 0,
    terms        bigint  NOT NULL DEFAULT 0,
    refused      bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (name, generation)
);
-- Only where it is missing: everybody who searches would wait for the lock.
DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'pumasi_search_index'::regclass AND attname = 'refused' AND NOT attisdropped
    ) THEN
        ALTER TABLE pumasi_search_index ADD COLUMN refused bigint NOT NULL DEFAULT 0;
    END IF;
END $$;
CREATE UNIQUE INDEX IF NOT EXISTS pumasi_search_index_in_use ON pumasi_search_index (name) WHERE in_use;
