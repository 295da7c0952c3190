CREATE TABLE pumasi_room_message (
    room TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    text TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (room, number)
);

CREATE UNIQUE INDEX pumasi_room_said_once ON pumasi_room_message (room, author, id);

INSERT INTO pumasi_room_schema VALUES (1);
