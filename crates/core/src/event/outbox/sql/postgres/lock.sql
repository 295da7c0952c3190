-- $1: the slots, each once, in ascending order
SELECT pg_advisory_xact_lock(hashtext('pumasi_outbox'), slot) FROM unnest($1::integer[]) AS slot
