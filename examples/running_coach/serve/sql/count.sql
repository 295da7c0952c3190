INSERT INTO model_questions (day, who, questions)
SELECT $1, $2, 1 WHERE $3 > 0
ON CONFLICT (day, who) DO UPDATE SET questions = model_questions.questions + 1 WHERE model_questions.questions < $3
