-- What every commit changes stands together, so that the server's log carries little else of a row; and room is left on the
-- pages, so that a commit of a saga that goes on being held touches no index. Moments are microseconds since 1970.
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
    version bigint NOT NULL,
    token bigint NOT NULL,
    updated_at bigint NOT NULL,
    status smallint NOT NULL,
    step text NOT NULL,
    reason text,
    saga text NOT NULL,
    key text NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000);
CREATE INDEX pumasi_saga_holder ON pumasi_saga (holder) WHERE holder IS NOT NULL;
CREATE INDEX pumasi_saga_wake ON pumasi_saga (wake) WHERE wake IS NOT NULL;

CREATE TABLE pumasi_saga_record (
    saga bigint NOT NULL,
    version bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (saga, version)
);
-- Records are short and few of them are read: to compress them would cost more than it saves.
ALTER TABLE pumasi_saga_record ALTER COLUMN record SET STORAGE EXTERNAL;

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
