INSERT INTO pumasi_post_tasks (post_id, version, round, state, record)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (post_id) DO UPDATE SET
    version = excluded.version,
    round = excluded.round,
    state = excluded.state,
    record = excluded.record
WHERE (excluded.version, excluded.round) > (pumasi_post_tasks.version, pumasi_post_tasks.round)
   OR (
        excluded.version = pumasi_post_tasks.version
        AND excluded.round = pumasi_post_tasks.round
        AND pumasi_post_tasks.state = 'pending'
        AND excluded.state <> 'pending'
      )
