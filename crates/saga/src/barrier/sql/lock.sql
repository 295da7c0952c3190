-- Makes the note of a key, or waits for whoever else has it, and reads it; to the end of the transaction it is ours.
INSERT INTO pumasi_barrier (step_key, done, undone) VALUES ($1, false, false)
ON CONFLICT (step_key) DO UPDATE SET step_key = excluded.step_key
RETURNING done, undone
