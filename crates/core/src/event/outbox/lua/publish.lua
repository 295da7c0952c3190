-- ARGV: the prefix, then shards and bodies
outbox_append(ARGV[1], server_time(), 2, (#ARGV - 1) / 2)
return 1
