-- Which generation of each projection is read, which one is being rebuilt, and the last number given.
CREATE TABLE pumasi_projection (
    name text PRIMARY KEY,
    serving bigint NOT NULL DEFAULT 1,
    building bigint,
    last bigint NOT NULL DEFAULT 1
);

-- The newest known state of each entity; what was deleted stays as a tombstone.
CREATE TABLE pumasi_projection_entity (
    projection text NOT NULL,
    generation bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    occurred_at bigint NOT NULL,
    deleted boolean NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (projection, generation, key)
);
CREATE INDEX pumasi_projection_entity_age ON pumasi_projection_entity (projection, generation, occurred_at);
CREATE INDEX pumasi_projection_entity_tombstone ON pumasi_projection_entity (projection, occurred_at) WHERE deleted;

INSERT INTO pumasi_projection_schema VALUES (1);
