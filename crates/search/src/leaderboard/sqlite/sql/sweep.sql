-- Deletes what no window and no snapshot of the board ?1 needs any more.
DELETE FROM pumasi_board_window
WHERE board = ?1 AND name IS NULL AND no NOT IN (SELECT of FROM pumasi_board_window WHERE of IS NOT NULL);
DELETE FROM pumasi_board_standing WHERE window NOT IN (SELECT no FROM pumasi_board_window);
DELETE FROM pumasi_board_past AS past
WHERE NOT EXISTS (
    SELECT 1 FROM pumasi_board_window AS kept
    WHERE kept.of = past.window AND kept.epoch >= past.since AND kept.epoch < past.until
);
