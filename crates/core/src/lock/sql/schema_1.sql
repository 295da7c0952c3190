-- Drawn after a lock was taken, so that a later holder's number is greater. A value is logged before it is handed out.
CREATE SEQUENCE pumasi_lock_fence AS BIGINT;
INSERT INTO pumasi_lock_schema VALUES (1);
