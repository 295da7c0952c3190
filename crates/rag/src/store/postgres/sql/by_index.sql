SET LOCAL jit = off;
SET LOCAL enable_sort = off;
SET LOCAL hnsw.iterative_scan = relaxed_order;
SET LOCAL hnsw.max_scan_tuples = 200000;
SET LOCAL hnsw.scan_mem_multiplier = 8;
