INSERT INTO pumasi_post_tasks AS standing (post_id, version, round, state, settled, attempts, tokens, posted_at, record)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (post_id) DO UPDATE SET
    version = excluded.version,
    round = excluded.round,
    state = excluded.state,
    settled = excluded.settled,
    attempts = excluded.attempts,
    tokens = excluded.tokens,
    posted_at = excluded.posted_at,
    record = excluded.record
WHERE (excluded.version, excluded.round) > (standing.version, standing.round)
   OR (
        (excluded.version, excluded.round) = (standing.version, standing.round)
        AND (
            excluded.settled > standing.settled
            OR (
                excluded.state = 'pending'
                AND standing.state = 'pending'
                AND (excluded.attempts, excluded.tokens) > (standing.attempts, standing.tokens)
            )
        )
      )
