-- A key once seen is kept: a request may come as late as its partner's longest retry.
CREATE TABLE pumasi_barrier (
    step_key text NOT NULL PRIMARY KEY,
    done boolean NOT NULL,
    undone boolean NOT NULL
);

INSERT INTO pumasi_barrier_schema VALUES (1);
