-- What every commit changes stands together, so that the server's log carries little else of a row; and room is left on the
-- pages, so that a commit of a saga that goes on being held touches no index. Moments are microseconds since 1970.
--
-- The last records of a saga are in its row, each in a column that is written once, so that the server's log has each of them once;
-- every fourth commit copies them to a row of their own. A row for each record cost a fourth more of the log, and of the time.
CREATE TABLE pumasi_saga (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at bigint NOT NULL,
    id bytea NOT NULL UNIQUE,
    definition integer NOT NULL,
    epoch bigint NOT NULL,
    holder bytea,
    -- When it is to be looked at, while nobody holds it; due is what the last commit said.
    wake bigint,
    -- How many signals wait: counted here, because who lets the row go sees the row as it is, and of other tables only what
    -- there was when its statement began.
    waiting integer NOT NULL DEFAULT 0,
    due bigint,
    tail_1 bytea NOT NULL DEFAULT '',
    tail_2 bytea NOT NULL DEFAULT '',
    tail_3 bytea NOT NULL DEFAULT '',
    tail_4 bytea NOT NULL DEFAULT '',
    version bigint NOT NULL,
    token bigint NOT NULL,
    updated_at bigint NOT NULL,
    status smallint NOT NULL,
    -- When status or step became what they are; step 2 adds it to tables that were made without it.
    since bigint,
    -- How many records are only in the tails; 4: they have been moved.
    loose smallint NOT NULL,
    step text NOT NULL,
    reason text,
    saga text NOT NULL,
    key text NOT NULL
) WITH (fillfactor = 35, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000);
CREATE INDEX pumasi_saga_holder ON pumasi_saga (holder) WHERE holder IS NOT NULL;
CREATE INDEX pumasi_saga_wake ON pumasi_saga (wake) WHERE wake IS NOT NULL;

-- Up to four records one after the other; the version is that of the last.
CREATE TABLE pumasi_saga_record (
    saga bigint NOT NULL,
    version bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (saga, version)
);
-- Records are short and few of them are read: to compress them would cost more than it saves.
ALTER TABLE pumasi_saga_record ALTER COLUMN record SET STORAGE EXTERNAL;
ALTER TABLE pumasi_saga ALTER COLUMN tail_1 SET STORAGE EXTERNAL, ALTER COLUMN tail_2 SET STORAGE EXTERNAL,
    ALTER COLUMN tail_3 SET STORAGE EXTERNAL, ALTER COLUMN tail_4 SET STORAGE EXTERNAL;

-- Everybody who holds something has a row here.
CREATE TABLE pumasi_saga_worker (
    id bytea PRIMARY KEY,
    until bigint NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE pumasi_saga_signal (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saga bigint NOT NULL,
    name text NOT NULL,
    id text NOT NULL,
    payload bytea NOT NULL,
    at bigint NOT NULL,
    UNIQUE (saga, id)
);

INSERT INTO pumasi_saga_schema VALUES (1);
