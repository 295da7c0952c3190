CREATE TABLE IF NOT EXISTS pumasi_board_schema (version integer NOT NULL);
