UPDATE payments SET cancelled = TRUE, refunded = paid_by IS NOT NULL WHERE id = $1
