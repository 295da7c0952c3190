CREATE TABLE IF NOT EXISTS pumasi_search_index (
    name         text    NOT NULL,
    generation   bigint  NOT NULL,
    in_use       boolean NOT NULL,
    fingerprint  text    NOT NULL,
    applied      bigint,
    documents    bigint  NOT NULL DEFAULT 0,
    terms        bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (name, generation)
);
ALTER TABLE pumasi_search_index ADD COLUMN IF NOT EXISTS refused bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX IF NOT EXISTS pumasi_search_index_in_use ON pumasi_search_index (name) WHERE in_use;
