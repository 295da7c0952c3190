CREATE TABLE row (
    id INTEGER PRIMARY KEY,
    flag INTEGER,
    "whole ""n""" INTEGER,
    small INTEGER,
    float REAL,
    text TEXT COLLATE NOCASE,
    at TEXT,
    epoch INTEGER,
    tags TEXT,
    counts TEXT,
    json_tags TEXT,
    json_counts TEXT,
    lat REAL,
    lon REAL
)
