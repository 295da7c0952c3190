-- $1: the board, $2: the name. The board's row is locked, so nobody adds it meanwhile.
WITH found AS (
    SELECT no, closed FROM pumasi_board_window WHERE board = $1 AND name = $2
), added AS (
    INSERT INTO pumasi_board_window (board, name)
    SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM found)
    ON CONFLICT (board, name) DO NOTHING
    RETURNING no, closed
)
SELECT no, closed FROM found UNION ALL SELECT no, closed FROM added
