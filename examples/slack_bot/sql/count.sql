INSERT INTO questions (key, words, asked) VALUES ($1, $2, 1)
ON CONFLICT (key) DO UPDATE SET asked = questions.asked + 1
