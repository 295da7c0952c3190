-- Which generation of each projection is read, which one is being rebuilt, and the last number given.
CREATE TABLE pumasi_projection (
    name TEXT PRIMARY KEY,
    serving INTEGER NOT NULL DEFAULT 1,
    building INTEGER,
    last INTEGER NOT NULL DEFAULT 1
);

-- The newest known state of each entity; what was deleted stays as a tombstone.
CREATE TABLE pumasi_projection_entity (
    projection TEXT NOT NULL,
    generation INTEGER NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (projection, generation, key)
);
CREATE INDEX pumasi_projection_entity_age ON pumasi_projection_entity (projection, generation, occurred_at);
CREATE INDEX pumasi_projection_entity_tombstone ON pumasi_projection_entity (projection, occurred_at) WHERE deleted;

INSERT INTO pumasi_projection_schema VALUES (1);
