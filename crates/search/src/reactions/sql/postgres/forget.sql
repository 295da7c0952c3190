WITH votes AS (DELETE FROM pumasi_reaction WHERE item = $1)
DELETE FROM pumasi_reaction_count WHERE item = $1
