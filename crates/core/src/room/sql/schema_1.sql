CREATE TABLE pumasi_room_message (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    author TEXT NOT NULL,
    id TEXT NOT NULL,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;

CREATE UNIQUE INDEX pumasi_room_said_once ON pumasi_room_message (room, author, id);

INSERT INTO pumasi_room_schema VALUES (1);
