CREATE TEMPORARY TABLE row (
    id INTEGER PRIMARY KEY,
    flag BOOLEAN,
    "whole ""n""" BIGINT,
    small SMALLINT,
    float DOUBLE PRECISION,
    text TEXT,
    at TIMESTAMPTZ,
    epoch BIGINT,
    tags TEXT[],
    counts BIGINT[],
    json_tags JSONB,
    json_counts JSONB,
    lat DOUBLE PRECISION,
    lon DOUBLE PRECISION
)
