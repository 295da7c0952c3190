CREATE TABLE IF NOT EXISTS pumasi_board_schema (version INTEGER NOT NULL);
