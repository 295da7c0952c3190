-- $1: the window, $2: how many to pass over, $3: how many to list, $4: whether different keys are counted
WITH page AS MATERIALIZED (
    SELECT key, member FROM pumasi_board_standing
    WHERE "window" = $1 AND key IS NOT NULL ORDER BY key, member OFFSET $2 LIMIT $3
), edge AS (
    SELECT (SELECT key FROM page ORDER BY key LIMIT 1) AS first,
           (SELECT key FROM page ORDER BY key DESC LIMIT 1) AS last
)
SELECT
    (SELECT count(*) FROM pumasi_board_standing WHERE "window" = $1 AND key IS NOT NULL) AS total,
    (SELECT count(*) FROM pumasi_board_standing WHERE "window" = $1 AND key < edge.first) AS better,
    (SELECT count(*) FROM pumasi_board_standing WHERE "window" = $1 AND key <= edge.last) AS until,
    CASE WHEN $4 THEN (SELECT count(DISTINCT key) FROM pumasi_board_standing
     WHERE "window" = $1 AND key < edge.first) END AS distinct_better,
    page.key, page.member
FROM edge LEFT JOIN page ON true ORDER BY page.key, page.member
