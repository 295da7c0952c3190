-- reaction: 0 none (any more), 1 like, 2 dislike
CREATE TABLE pumasi_reaction (
    item text NOT NULL,
    person text NOT NULL,
    reaction smallint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (item, person)
) WITH (fillfactor = 80);

CREATE TABLE pumasi_reaction_count (
    item text PRIMARY KEY,
    likes bigint NOT NULL,
    dislikes bigint NOT NULL
) WITH (fillfactor = 50);

-- The counts follow from the row as it was and is. Whoever changes a count locks it until the commit; computing the difference in
-- the statement that changes the row would see an older snapshot of it.
CREATE FUNCTION pumasi_reaction_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_reaction smallint := 0;
    likes_more integer;
    dislikes_more integer;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        old_reaction := OLD.reaction;
    END IF;
    likes_more := (NEW.reaction = 1)::integer - (old_reaction = 1)::integer;
    dislikes_more := (NEW.reaction = 2)::integer - (old_reaction = 2)::integer;
    IF likes_more <> 0 OR dislikes_more <> 0 THEN
        INSERT INTO pumasi_reaction_count AS kept (item, likes, dislikes)
        VALUES (NEW.item, likes_more, dislikes_more)
        ON CONFLICT (item) DO UPDATE
        SET likes = kept.likes + likes_more, dislikes = kept.dislikes + dislikes_more;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER pumasi_reaction_counted AFTER INSERT OR UPDATE ON pumasi_reaction
    FOR EACH ROW EXECUTE FUNCTION pumasi_reaction_counted();

INSERT INTO pumasi_reaction_schema VALUES (1);
