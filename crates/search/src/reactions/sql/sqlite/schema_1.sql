-- reaction: 0 none (any more), 1 like, 2 dislike
CREATE TABLE pumasi_reaction (
    item TEXT NOT NULL,
    person TEXT NOT NULL,
    reaction INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (item, person)
) WITHOUT ROWID;

CREATE TABLE pumasi_reaction_count (
    item TEXT PRIMARY KEY,
    likes INTEGER NOT NULL,
    dislikes INTEGER NOT NULL
) WITHOUT ROWID;

-- The counts follow from the row as it was and is.
CREATE TRIGGER pumasi_reaction_inserted AFTER INSERT ON pumasi_reaction WHEN NEW.reaction <> 0 BEGIN
    INSERT INTO pumasi_reaction_count (item, likes, dislikes)
    VALUES (NEW.item, NEW.reaction = 1, NEW.reaction = 2)
    ON CONFLICT (item) DO UPDATE SET likes = likes + excluded.likes, dislikes = dislikes + excluded.dislikes;
END;
CREATE TRIGGER pumasi_reaction_updated AFTER UPDATE ON pumasi_reaction WHEN NEW.reaction <> OLD.reaction BEGIN
    INSERT INTO pumasi_reaction_count (item, likes, dislikes)
    VALUES (NEW.item, (NEW.reaction = 1) - (OLD.reaction = 1), (NEW.reaction = 2) - (OLD.reaction = 2))
    ON CONFLICT (item) DO UPDATE SET likes = likes + excluded.likes, dislikes = dislikes + excluded.dislikes;
END;

INSERT INTO pumasi_reaction_schema VALUES (1);
