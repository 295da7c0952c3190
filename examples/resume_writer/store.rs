//! What the service keeps, and the events that leave with each change of it.

use std::path::Path;
use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, EventId, OutboxStore, State};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{from_str, to_string};
use support::database::{Database, Sql};
use support::on;
use support::outbox::{self, Outgoing as _};
use support::servers::Pool;

use crate::evidence::Source;
use crate::resume::{Refused, Resume};

/// Work for the writer.
pub(crate) const WORK: &str = "resumes.work";
/// What people do with shared résumés.
pub(crate) const SOCIAL: &str = "resumes.social";
/// The most résumés of one person: each costs a model's call.
const MOST: i64 = 20;
/// The most instructions for one résumé that are under way at once: so does each of them.
const MOST_UNDER_WAY: i64 = 5;

const SCHEMA: Sql =
    Sql { sqlite: include_str!("sql/schema.sql"), postgres: include_str!("sql/schema.postgres.sql") };

/// A file or a database; what its functions returned is on the disk. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    pub(crate) outbox: Arc<dyn OutboxStore>,
}

/// A résumé as it is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) account: String,
    pub(crate) language: String,
    /// `pending`, `ready` or `failed`.
    pub(crate) state: String,
    pub(crate) failure: Option<String>,
    pub(crate) version: i64,
    body: Option<String>,
    sources: Option<String>,
    share: Option<String>,
    pub(crate) at: i64,
}

impl Kept {
    pub(crate) fn new(id: EventId, owner: &str, account: &str, language: &str, at: Timestamp) -> Self {
        Self {
            id: id.to_string(),
            owner: owner.to_owned(),
            account: account.to_owned(),
            language: language.to_owned(),
            state: "pending".to_owned(),
            failure: None,
            version: 0,
            body: None,
            sources: None,
            share: None,
            at: at.as_micros(),
        }
    }

    pub(crate) fn resume(&self) -> Result<Option<Resume>> {
        self.body.as_deref().map(|body| from_str(body).map_err(|_| unreadable())).transpose()
    }

    pub(crate) fn sources(&self) -> Result<Vec<Source>> {
        self.sources.as_deref().map_or(Ok(Vec::new()), |json| from_str(json).map_err(|_| unreadable()))
    }

    /// The résumé as it was at a version.
    pub(crate) fn at_version(self, version: i64, resume: &Resume) -> Result<Self> {
        Ok(Self { version, body: Some(written(resume)?), ..self })
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.share.is_some()
    }
}

/// What an instruction comes to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) before: Resume,
    pub(crate) after: Resume,
    pub(crate) not_done: Vec<Refused>,
}

/// An instruction as it is kept.
pub(crate) struct KeptEdit {
    pub(crate) id: String,
    pub(crate) resume: String,
    /// The version that it was given for.
    pub(crate) base: i64,
    pub(crate) instruction: String,
    /// `pending`, `proposed`, `accepted` or `failed`.
    pub(crate) state: String,
    pub(crate) failure: Option<String>,
    body: Option<String>,
    at: i64,
}

impl KeptEdit {
    pub(crate) fn new(id: EventId, resume: &str, base: i64, instruction: &str, at: Timestamp) -> Self {
        Self {
            id: id.to_string(),
            resume: resume.to_owned(),
            base,
            instruction: instruction.to_owned(),
            state: "pending".to_owned(),
            failure: None,
            body: None,
            at: at.as_micros(),
        }
    }

    pub(crate) fn proposal(&self) -> Result<Option<Proposal>> {
        self.body.as_deref().map(|body| from_str(body).map_err(|_| unreadable())).transpose()
    }
}

/// A comment.
pub(crate) struct Comment {
    pub(crate) number: i64,
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) at: i64,
}

/// What somebody did with a shared résumé.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Social {
    pub(crate) owner: String,
    pub(crate) resume: String,
    /// `like` or `comment`.
    pub(crate) kind: String,
    pub(crate) person: String,
    pub(crate) at: i64,
}

/// What an owner is told.
pub(crate) struct Notice {
    pub(crate) id: String,
    pub(crate) resume: String,
    pub(crate) kind: String,
    pub(crate) person: String,
    pub(crate) at: i64,
}

/// Work on a résumé, or on an instruction for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) edit: Option<String>,
}

/// Reads rows whose columns are called as the fields are.
macro_rules! from_row {
    ($($of:ident: $($field:ident),+;)+) => {$(
        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $of
        where
            for<'a> &'a str: sqlx::ColumnIndex<R>,
            i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),+ })
            }
        }
    )+};
}

from_row! {
    Kept: id, owner, account, language, state, failure, version, body, sources, share, at;
    KeptEdit: id, resume, base, instruction, state, failure, body, at;
    Comment: number, author, text, at;
    Notice: id, resume, kind, person, at;
}

fn keeping(error: sqlx::Error) -> Error {
    failed("keeping résumés", error)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Storage, "what is kept of a résumé cannot be read")
}

fn written(value: &impl Serialize) -> Result<String> {
    // PostgreSQL has no letter for NUL, and JSON writes it as an escape.
    to_string(value).map_err(|_| Error::new(ErrorKind::Other, "a résumé cannot be written as JSON"))
}

fn conflict(message: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

impl Store {
    pub(crate) async fn open(file: &Path, database: Option<Pool>) -> Result<Self> {
        let database = Database::open(file, database, SCHEMA).await?;
        let outbox = outbox::open(&database).await?;
        Ok(Self { database, outbox })
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        let query = "SELECT 1 FROM resumes WHERE id = ''";
        on!(&self.database, pool => sqlx::query(query).fetch_optional(pool).await.map(drop)).map_err(keeping)
    }

    /// Adds a résumé that is to be written; one that is there already stays, if it is the same.
    pub(crate) async fn add(&self, new: &Kept) -> Result<()> {
        let event = Envelope::new(WORK, &new.id, State::Created, 0)
            .with_id(EventId::named("resume", &new.id))
            .with_payload(&Work { edit: None })?;
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            let insert = "INSERT INTO resumes (id, owner, account, language, state, version, at) \
                SELECT $1, $2, $3, $4, 'pending', 0, $5 WHERE (SELECT count(*) FROM resumes WHERE owner = $2) < $6 \
                ON CONFLICT (id) DO NOTHING";
            let added = sqlx::query(insert).bind(&new.id).bind(&new.owner).bind(&new.account).bind(&new.language)
                .bind(new.at).bind(MOST).execute(&mut *transaction).await.map_err(keeping)?;
            if added.rows_affected() > 0 {
                pool.write_events(&mut transaction, &[event]).await?;
                return transaction.commit().await.map_err(keeping);
            }
        });
        match self.get(&new.id).await? {
            Some(old) if old.account == new.account && old.language == new.language => Ok(()),
            Some(_) => Err(conflict("another résumé was made under this Idempotency-Key")),
            None => Err(conflict("you have as many résumés as there may be: delete one first")),
        }
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Option<Kept>> {
        let query = "SELECT * FROM resumes WHERE id = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
            .map_err(keeping)
    }

    /// Lists somebody's résumés, the oldest first.
    pub(crate) async fn of(&self, owner: &str) -> Result<Vec<Kept>> {
        let query = "SELECT * FROM resumes WHERE owner = $1 ORDER BY at, id";
        on!(&self.database, pool => sqlx::query_as(query).bind(owner).fetch_all(pool).await).map_err(keeping)
    }

    /// Deletes a résumé with all that belongs to it.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            for query in [
                "DELETE FROM resumes WHERE id = $1",
                "DELETE FROM edits WHERE resume = $1",
                "DELETE FROM likes WHERE resume = $1",
                "DELETE FROM comments WHERE resume = $1",
                "DELETE FROM notices WHERE resume = $1",
            ] {
                sqlx::query(query).bind(id).execute(&mut *transaction).await.map_err(keeping)?;
            }
            transaction.commit().await.map_err(keeping)
        })
    }

    /// Keeps what was written, unless that was done before.
    pub(crate) async fn write(&self, id: &str, resume: &Resume, sources: &[Source]) -> Result<()> {
        let query = "UPDATE resumes SET state = 'ready', version = 1, body = $2, sources = $3 WHERE id = $1 AND state = 'pending'";
        let (body, sources) = (written(resume)?, written(&sources)?);
        on!(&self.database, pool => {
            sqlx::query(query).bind(id).bind(body).bind(sources).execute(pool).await.map(drop)
        })
        .map_err(keeping)
    }

    /// Notes why a résumé, or an edit, came to nothing.
    pub(crate) async fn fail(&self, resume: &str, edit: Option<&str>, why: &str) -> Result<()> {
        let (query, id) = match edit {
            None => (
                "UPDATE resumes SET state = 'failed', failure = $2 WHERE id = $1 AND state = 'pending'",
                resume,
            ),
            Some(edit) => {
                ("UPDATE edits SET state = 'failed', failure = $2 WHERE id = $1 AND state = 'pending'", edit)
            }
        };
        on!(&self.database, pool => sqlx::query(query).bind(id).bind(why).execute(pool).await.map(drop))
            .map_err(keeping)
    }

    /// Has a résumé whose writing has failed written anew; one that is being written is left at that.
    pub(crate) async fn retry(&self, id: &str) -> Result<()> {
        let event = Envelope::new(WORK, id, State::Updated, 0).with_payload(&Work { edit: None })?;
        let begin_anew =
            "UPDATE resumes SET state = 'pending', failure = NULL WHERE id = $1 AND state = 'failed'";
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            let begun = sqlx::query(begin_anew).bind(id).execute(&mut *transaction).await.map_err(keeping)?;
            if begun.rows_affected() > 0 {
                pool.write_events(&mut transaction, &[event]).await?;
                return transaction.commit().await.map_err(keeping);
            }
        });
        match self.get(id).await? {
            Some(kept) if kept.state == "ready" => Err(conflict("the résumé is written")),
            _ => Ok(()),
        }
    }

    /// Takes an instruction for a version of a résumé.
    pub(crate) async fn instruct(&self, edit: &KeptEdit) -> Result<()> {
        let event = Envelope::new(WORK, &edit.resume, State::Updated, 0)
            .with_id(EventId::named("resume-edit", &edit.id))
            .with_payload(&Work { edit: Some(edit.id.clone()) })?;
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            let insert = "INSERT INTO edits (id, resume, base, instruction, state, at) \
                SELECT $1, $2, $3, $4, 'pending', $5 WHERE EXISTS (SELECT 1 FROM resumes WHERE id = $2 AND state = 'ready' AND version = $3) \
                AND (SELECT count(*) FROM edits WHERE resume = $2 AND state = 'pending') < $6 ON CONFLICT (id) DO NOTHING";
            // Held by one at a time, so that no two count the same.
            sqlx::query("UPDATE resumes SET version = version WHERE id = $1").bind(&edit.resume)
                .execute(&mut *transaction).await.map_err(keeping)?;
            let added = sqlx::query(insert).bind(&edit.id).bind(&edit.resume).bind(edit.base).bind(&edit.instruction)
                .bind(edit.at).bind(MOST_UNDER_WAY).execute(&mut *transaction).await.map_err(keeping)?;
            if added.rows_affected() > 0 {
                pool.write_events(&mut transaction, &[event]).await?;
                return transaction.commit().await.map_err(keeping);
            }
        });
        let look = "SELECT * FROM edits WHERE id = $1";
        let old: Option<KeptEdit> = on!(&self.database, pool => {
            sqlx::query_as(look).bind(&edit.id).fetch_optional(pool).await.map_err(keeping)?
        });
        let asked = (&edit.resume, edit.base, &edit.instruction);
        match old {
            Some(old) if (&old.resume, old.base, &old.instruction) == asked => return Ok(()),
            Some(_) => return Err(conflict("another instruction was given under this Idempotency-Key")),
            None => {}
        }
        let is_current = |kept: &Kept| kept.state == "ready" && kept.version == edit.base;
        Err(conflict(if self.get(&edit.resume).await?.as_ref().is_some_and(is_current) {
            "as many instructions for this résumé are under way as there may be: wait until one is proposed"
        } else {
            "the résumé is not written yet, or has another version by now"
        }))
    }

    pub(crate) async fn edit(&self, resume: &str, id: &str) -> Result<Option<KeptEdit>> {
        let query = "SELECT * FROM edits WHERE resume = $1 AND id = $2";
        on!(&self.database, pool => sqlx::query_as(query).bind(resume).bind(id).fetch_optional(pool).await)
            .map_err(keeping)
    }

    /// Keeps what an instruction comes to.
    pub(crate) async fn propose(&self, id: &str, proposal: &Proposal) -> Result<()> {
        let query = "UPDATE edits SET state = 'proposed', body = $2 WHERE id = $1 AND state = 'pending'";
        let body = written(proposal)?;
        on!(&self.database, pool => sqlx::query(query).bind(id).bind(body).execute(pool).await.map(drop))
            .map_err(keeping)
    }

    /// Makes a proposal the next version, if the résumé is still the one that it was made for; tells whether it was not before.
    pub(crate) async fn accept(&self, edit: &KeptEdit, after: &Resume) -> Result<bool> {
        let body = written(after)?;
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            let done = sqlx::query("UPDATE edits SET state = 'accepted' WHERE id = $1 AND state = 'proposed'")
                .bind(&edit.id).execute(&mut *transaction).await.map_err(keeping)?;
            let update = "UPDATE resumes SET body = $2, version = version + 1 WHERE id = $1 AND version = $3";
            let changed = sqlx::query(update).bind(&edit.resume).bind(body).bind(edit.base)
                .execute(&mut *transaction).await.map_err(keeping)?;
            if done.rows_affected() == 0 || changed.rows_affected() == 0 {
                transaction.rollback().await.map_err(keeping)?;
                let now = self.edit(&edit.resume, &edit.id).await?;
                return if now.is_some_and(|now| now.state == "accepted") {
                    Ok(false)
                } else {
                    Err(conflict("the résumé has another version by now: give the instruction again"))
                };
            }
            transaction.commit().await.map_err(keeping)?;
            Ok(true)
        })
    }

    /// Opens a résumé to who has the key of this hash, and to nobody who had another one; `None` closes it.
    pub(crate) async fn share(&self, id: &str, hash: Option<&str>) -> Result<()> {
        let query = "UPDATE resumes SET share = $2 WHERE id = $1";
        on!(&self.database, pool => sqlx::query(query).bind(id).bind(hash).execute(pool).await.map(drop))
            .map_err(keeping)
    }

    pub(crate) async fn shared(&self, hash: &str) -> Result<Option<Kept>> {
        let query = "SELECT * FROM resumes WHERE share = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(hash).fetch_optional(pool).await)
            .map_err(keeping)
    }

    /// How many like a résumé, and whether this person does.
    pub(crate) async fn likes(&self, resume: &str, person: Option<&str>) -> Result<(u64, bool)> {
        let all = "SELECT count(*) FROM likes WHERE resume = $1";
        let own = "SELECT count(*) FROM likes WHERE resume = $1 AND person = $2";
        let (all, own): (i64, i64) = on!(&self.database, pool => {
            let all = sqlx::query_scalar(all).bind(resume).fetch_one(pool).await.map_err(keeping)?;
            let own = sqlx::query_scalar(own).bind(resume).bind(person).fetch_one(pool).await.map_err(keeping)?;
            (all, own)
        });
        Ok((u64::try_from(all).unwrap_or(0), own > 0))
    }

    /// Likes a résumé, once a person, or takes that back. The first time the owner is told.
    pub(crate) async fn like(&self, social: &Social, likes: bool) -> Result<()> {
        let (resume, person) = (&social.resume, &social.person);
        // Named after the two, so that whoever takes it back and likes it again is told of once.
        let event = Envelope::new(SOCIAL, &social.owner, State::Created, 0)
            .with_id(EventId::named("resume-like", &format!("{resume}\n{person}")))
            .with_payload(social)?;
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            if likes {
                let insert = "INSERT INTO likes (resume, person, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                let added = sqlx::query(insert).bind(resume).bind(person).bind(social.at)
                    .execute(&mut *transaction).await.map_err(keeping)?;
                if added.rows_affected() > 0 {
                    pool.write_events(&mut transaction, &[event]).await?;
                }
            } else {
                sqlx::query("DELETE FROM likes WHERE resume = $1 AND person = $2").bind(resume).bind(person)
                    .execute(&mut *transaction).await.map_err(keeping)?;
            }
            transaction.commit().await.map_err(keeping)
        })
    }

    /// Adds a comment, once for each id, and returns it; the owner is told of somebody else's.
    pub(crate) async fn comment(&self, id: EventId, social: &Social, text: &str) -> Result<Comment> {
        let (resume, person) = (&social.resume, &social.person);
        let event = Envelope::new(SOCIAL, &social.owner, State::Created, 0)
            .with_id(EventId::derived(id, "told"))
            .with_payload(social)?;
        let id = id.to_string();
        let look = "SELECT number, author, text, at FROM comments WHERE id = $1";
        on!(&self.database, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(keeping)?;
            // The row is everybody's who comments on it at once: numbers have no gap and no double.
            let number: Option<i64> = sqlx::query_scalar("UPDATE resumes SET said = said + 1 WHERE id = $1 RETURNING said")
                .bind(resume).fetch_optional(&mut *transaction).await.map_err(keeping)?;
            let number = number.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such résumé"))?;
            let old: Option<Comment> = sqlx::query_as(look).bind(&id).fetch_optional(&mut *transaction).await.map_err(keeping)?;
            if let Some(old) = old {
                transaction.rollback().await.map_err(keeping)?;
                let is_same = old.text == text && old.author == *person;
                return if is_same { Ok(old) } else { Err(conflict("something else was said under this Idempotency-Key")) };
            }
            sqlx::query("INSERT INTO comments (id, resume, number, author, text, at) VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(&id).bind(resume).bind(number).bind(person).bind(text).bind(social.at)
                .execute(&mut *transaction).await.map_err(keeping)?;
            if social.owner != *person {
                pool.write_events(&mut transaction, &[event]).await?;
            }
            transaction.commit().await.map_err(keeping)?;
            Ok(Comment { number, author: person.clone(), text: text.to_owned(), at: social.at })
        })
    }

    /// Lists comments after a number, the oldest first.
    pub(crate) async fn comments(&self, resume: &str, after: i64, limit: usize) -> Result<Vec<Comment>> {
        let query = "SELECT number, author, text, at FROM comments WHERE resume = $1 AND number > $2 ORDER BY number LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(resume).bind(after).bind(limit).fetch_all(pool).await
        })
        .map_err(keeping)
    }

    /// Deletes a comment of this author, or of anybody's where there is no author; tells whether there was one.
    pub(crate) async fn uncomment(&self, resume: &str, number: i64, author: Option<&str>) -> Result<bool> {
        let query =
            "DELETE FROM comments WHERE resume = $1 AND number = $2 AND author = coalesce($3, author)";
        let gone = on!(&self.database, pool => {
            sqlx::query(query).bind(resume).bind(number).bind(author).execute(pool).await.map(|done| done.rows_affected())
        });
        Ok(gone.map_err(keeping)? > 0)
    }

    /// Keeps a notice; tells whether its owner was told elsewhere, too.
    pub(crate) async fn notice(&self, id: EventId, social: &Social) -> Result<bool> {
        let insert = "INSERT INTO notices (id, owner, resume, kind, person, at) \
            SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM resumes WHERE id = $3) ON CONFLICT (id) DO NOTHING";
        let look = "SELECT told FROM notices WHERE id = $1";
        let id = id.to_string();
        let told: Option<Option<i64>> = on!(&self.database, pool => {
            sqlx::query(insert).bind(&id).bind(&social.owner).bind(&social.resume).bind(&social.kind)
                .bind(&social.person).bind(social.at).execute(pool).await.map_err(keeping)?;
            sqlx::query_scalar(look).bind(&id).fetch_optional(pool).await.map_err(keeping)?
        });
        // Of a résumé that is deleted by now nobody is told.
        Ok(told.is_none_or(|told| told.is_some()))
    }

    /// Notes that a notice was told elsewhere.
    pub(crate) async fn told(&self, id: EventId, at: Timestamp) -> Result<()> {
        let query = "UPDATE notices SET told = $2 WHERE id = $1";
        on!(&self.database, pool => {
            sqlx::query(query).bind(id.to_string()).bind(at.as_micros()).execute(pool).await.map(drop)
        })
        .map_err(keeping)
    }

    /// Lists what an owner is told, the newest first.
    pub(crate) async fn notices(&self, owner: &str, limit: usize) -> Result<Vec<Notice>> {
        let query =
            "SELECT id, resume, kind, person, at FROM notices WHERE owner = $1 ORDER BY at DESC, id LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => sqlx::query_as(query).bind(owner).bind(limit).fetch_all(pool).await)
            .map_err(keeping)
    }
}
