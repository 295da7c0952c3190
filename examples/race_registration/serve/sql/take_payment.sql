UPDATE payments SET paid_by = $2, refunded = cancelled WHERE id = $1 AND paid_by IS NULL
