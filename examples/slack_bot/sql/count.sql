INSERT INTO questions (key, words, asked) VALUES ($1, $2, 1)
ON CONFLICT (key) DO UPDATE SET
    asked = questions.asked + 1,
    words = CASE questions.words WHEN '' THEN excluded.words ELSE questions.words END
