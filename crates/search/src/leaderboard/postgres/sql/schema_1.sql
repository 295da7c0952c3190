CREATE TABLE pumasi_board (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    rules text NOT NULL
);

CREATE TABLE pumasi_board_window (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    board integer NOT NULL REFERENCES pumasi_board ON DELETE CASCADE,
    name text NOT NULL,
    closed boolean NOT NULL DEFAULT false,
    UNIQUE (board, name)
);

-- key is NULL for who is not ranked; it sorts as the board does.
CREATE TABLE pumasi_board_standing (
    "window" integer NOT NULL REFERENCES pumasi_board_window ON DELETE CASCADE,
    member bytea NOT NULL,
    key bytea,
    standing bytea NOT NULL,
    PRIMARY KEY ("window", member)
) WITH (fillfactor = 80);
CREATE INDEX pumasi_board_standing_key ON pumasi_board_standing ("window", key, member) WHERE key IS NOT NULL;

-- What has counted once: in the whole board (scope 0), or in the window scope. window is where it counted.
CREATE TABLE pumasi_board_mark (
    board integer NOT NULL REFERENCES pumasi_board ON DELETE CASCADE,
    scope integer NOT NULL,
    member bytea NOT NULL,
    name text NOT NULL,
    "window" integer NOT NULL REFERENCES pumasi_board_window ON DELETE CASCADE,
    PRIMARY KEY (board, scope, member, name)
);
CREATE INDEX pumasi_board_mark_window ON pumasi_board_mark ("window");

INSERT INTO pumasi_board_schema VALUES (1);
