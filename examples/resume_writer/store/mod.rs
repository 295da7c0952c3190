//! What the service keeps, and the events that leave with each change of it.

mod social;
mod work;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::event::EventId;
use pumasi_core::time::{SystemClock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{from_str, to_string};
use support::database::{Database, Sql};
use support::on;
use support::once::Once;
use support::outbox::Outbox;
use support::servers::Pool;

use crate::evidence::Source;
use crate::resume::{Refused, Resume};

/// Work for the writer.
pub(crate) const WORK: &str = "resumes.work";
/// What people do with shared résumés.
pub(crate) const SOCIAL: &str = "resumes.social";
/// How much one person may have written in a day, unless the service is told otherwise.
pub(crate) const WRITINGS_A_DAY: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
/// What is said of an instruction that is not there, or no more.
pub(crate) const NO_SUCH: &str = "there is no such instruction";

const SCHEMA: Sql =
    Sql { sqlite: include_str!("../sql/schema.sql"), postgres: include_str!("../sql/schema.postgres.sql") };

/// A file or a database; what its functions returned is on the disk. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) once: Once,
    /// How much one person may have written in a day: résumés, retries and instructions.
    writings_a_day: NonZeroU32,
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
    pub(crate) at: i64,
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
#[derive(Serialize, Deserialize)]
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
        let (outbox, once) =
            (Outbox::open(&database).await?, Once::open(&database, Arc::new(SystemClock)).await?);
        Ok(Self { database, outbox, once, writings_a_day: WRITINGS_A_DAY })
    }

    /// Sets how much one person may have written in a day.
    pub(crate) fn with_writings_a_day(self, writings_a_day: NonZeroU32) -> Self {
        Self { writings_a_day, ..self }
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        let query = "SELECT 1 FROM resumes WHERE id = ''";
        on!(&self.database, pool => sqlx::query(query).fetch_optional(pool).await.map(drop)).map_err(keeping)
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Option<Kept>> {
        let query = "SELECT * FROM resumes WHERE id = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
            .map_err(keeping)
    }

    /// Lists somebody's résumés, the newest first and only what comes after one of the page before: its moment and its name.
    pub(crate) async fn of(
        &self,
        owner: &str,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<Kept>> {
        let query = "SELECT * FROM resumes \
            WHERE owner = $1 AND (at < $2 OR at = $2 AND id < $3) ORDER BY at DESC, id DESC LIMIT $4";
        let (at, id) = after.unwrap_or((i64::MAX, ""));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(owner).bind(at).bind(id).bind(limit).fetch_all(pool).await
        })
        .map_err(keeping)
    }

    /// Deletes a résumé with all that belongs to it.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(keeping)?;
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
}
