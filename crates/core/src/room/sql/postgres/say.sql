-- $1: the room, $2: the author, $3: the id, $4: the text
INSERT INTO pumasi_room_message (room, number, author, id, text, at)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT
FROM pumasi_room_message WHERE room = $1
ON CONFLICT (room, author, id) DO NOTHING
