SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_encoding') AS encoding,
       (SELECT datctype FROM pg_database WHERE datname = current_database())::text AS locale,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') AS trigrams,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       pg_is_in_recovery() AS replica,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS behind,
       (SELECT fingerprint FROM pumasi_search_index WHERE name = $1 AND in_use) AS fingerprint,
       EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass($2) AND NOT indisvalid) AS broken
