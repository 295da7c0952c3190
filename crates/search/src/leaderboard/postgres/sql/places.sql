-- $1: the window, $2: members, $3: whether different keys are counted
SELECT wanted.nr, own.key,
    (SELECT count(*) FROM pumasi_board_standing AS other
     WHERE other."window" = $1 AND other.key < own.key) AS better,
    (SELECT count(*) FROM pumasi_board_standing AS other
     WHERE other."window" = $1 AND other.key = own.key) AS tied,
    (SELECT count(*) FROM pumasi_board_standing AS other
     WHERE other."window" = $1 AND other.key = own.key AND other.member < own.member) AS before,
    CASE WHEN $3 THEN (SELECT count(DISTINCT other.key) FROM pumasi_board_standing AS other
     WHERE other."window" = $1 AND other.key < own.key) END AS distinct_better
FROM unnest($2::bytea[]) WITH ORDINALITY AS wanted (member, nr)
JOIN pumasi_board_standing AS own ON own."window" = $1 AND own.member = wanted.member AND own.key IS NOT NULL
