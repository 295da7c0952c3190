CREATE TABLE pumasi_board (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    rules TEXT NOT NULL
);

-- epoch grows with each snapshot of the window. A snapshot is a row as well: of names the window, and epoch the window's own
-- when it was taken. name is NULL where the window was forgotten, and a snapshot still needs its rows.
CREATE TABLE pumasi_board_window (
    no INTEGER PRIMARY KEY,
    board INTEGER NOT NULL,
    name TEXT,
    closed INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    of INTEGER,
    UNIQUE (board, name)
);
CREATE INDEX pumasi_board_window_of ON pumasi_board_window (of) WHERE of IS NOT NULL;

-- since is the window's epoch in which the row was written. key is NULL for who is not ranked.
CREATE TABLE pumasi_board_standing (
    window INTEGER NOT NULL,
    member BLOB NOT NULL,
    key BLOB,
    standing BLOB NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (window, member)
) WITHOUT ROWID;

-- What rows were in the epochs from since to before until, of which there are snapshots.
CREATE TABLE pumasi_board_past (
    window INTEGER NOT NULL,
    member BLOB NOT NULL,
    key BLOB NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (window, member, since)
) WITHOUT ROWID;

-- What has counted once: in the whole board (scope 0), or in the window scope. window is where it counted.
CREATE TABLE pumasi_board_mark (
    board INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    member BLOB NOT NULL,
    name TEXT NOT NULL,
    window INTEGER NOT NULL,
    PRIMARY KEY (board, scope, member, name)
) WITHOUT ROWID;
CREATE INDEX pumasi_board_mark_window ON pumasi_board_mark (window);

INSERT INTO pumasi_board_schema VALUES (1);
