-- ?1: ids, in the order in which they are wanted
SELECT posts.* FROM json_each(?1) AS wanted JOIN posts ON posts.id = wanted.value ORDER BY wanted.key
