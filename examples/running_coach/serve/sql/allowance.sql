-- How many questions a model answered on a day (since 1970, UTC): from a network, or from all where 'who' is empty.
CREATE TABLE IF NOT EXISTS model_questions (
    day BIGINT NOT NULL,
    who TEXT NOT NULL,
    questions BIGINT NOT NULL,
    PRIMARY KEY (day, who)
);
