INSERT INTO pumasi_post_tasks (post_id, version, round, state, settled, attempts, posted_at, record)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (post_id) DO UPDATE SET
    version = excluded.version,
    round = excluded.round,
    state = excluded.state,
    settled = excluded.settled,
    attempts = excluded.attempts,
    posted_at = excluded.posted_at,
    record = excluded.record
WHERE (excluded.version, excluded.round) > (pumasi_post_tasks.version, pumasi_post_tasks.round)
   OR (
        excluded.version = pumasi_post_tasks.version
        AND excluded.round = pumasi_post_tasks.round
        AND (
            excluded.settled > pumasi_post_tasks.settled
            OR (
                excluded.state = 'pending'
                AND pumasi_post_tasks.state = 'pending'
                AND (
                    excluded.attempts,
                    excluded.record ->> '$.usage.prompt_tokens' + excluded.record ->> '$.usage.completion_tokens'
                ) > (
                    pumasi_post_tasks.attempts,
                    pumasi_post_tasks.record ->> '$.usage.prompt_tokens' + pumasi_post_tasks.record ->> '$.usage.completion_tokens'
                )
            )
        )
      )
