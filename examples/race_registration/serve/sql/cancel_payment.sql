UPDATE payments SET cancelled = 1, refunded = paid_by IS NOT NULL WHERE id = ?1
