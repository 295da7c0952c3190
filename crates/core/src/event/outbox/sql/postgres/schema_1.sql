-- What waits. Within a topic and key, which belong to one shard, seq grows in the order of the commits, because a publisher
-- holds the lock of its slot from before it draws the number until it has committed.
CREATE TABLE pumasi_outbox_event (
    shard smallint NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body text NOT NULL,
    PRIMARY KEY (shard, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- Who holds a shard, from when and until when. Room is left on the pages, so that a claim writes no index.
CREATE TABLE pumasi_outbox_shard (
    shard smallint PRIMARY KEY,
    holder bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT '-infinity',
    free_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO pumasi_outbox_shard (shard) SELECT generate_series(0, 63);

CREATE TABLE pumasi_outbox_refused (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    body text NOT NULL,
    kind text NOT NULL,
    message text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO pumasi_outbox_schema VALUES (1);
