SELECT number, author, text, at FROM (
    SELECT number, author, text, at FROM pumasi_room_message WHERE room = $1 ORDER BY number DESC LIMIT $2
) AS newest ORDER BY number
