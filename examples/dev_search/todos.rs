//! Todos: each write says which version it was based on, and what others wrote meanwhile is not overwritten.

use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use support::database::{Database, Sql};
use support::etag::Precondition;
use support::on;

/// How many todos a person may have.
pub(crate) const MOST: i64 = 500;

/// Keeps others from writing new todos of a person until the transaction has ended: in a file nobody else writes anyway.
const LOCK: Sql =
    Sql { sqlite: "SELECT $1", postgres: "SELECT pg_advisory_xact_lock(hashtext('todos'), hashtext($1))" };

#[derive(Clone)]
pub(crate) struct Todos {
    database: Database,
    clock: Arc<dyn Clock>,
}

/// A todo, as it stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Todo {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) done: bool,
    /// How often it was written.
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
}

/// What became of a write.
pub(crate) enum Written {
    /// It is stored; as the first version, if it is new.
    Done(Todo),
    /// Something else stands, or nothing does: nothing was changed.
    Stale(Option<Todo>),
}

impl<'r, R: Row> FromRow<'r, R> for Todo
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            text: row.try_get("text")?,
            done: row.try_get("done")?,
            version: u64::try_from(row.try_get::<i64, _>("version")?).unwrap_or(0),
            at: Timestamp::from_micros(row.try_get("at")?),
        })
    }
}

impl Todos {
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    /// Lists a person's todos by their names, only those after `after`.
    pub(crate) async fn list(&self, owner: &str, after: Option<&str>, limit: usize) -> Result<Vec<Todo>> {
        let query = "SELECT * FROM todos WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3";
        let (after, limit) = (after.unwrap_or_default(), i64::try_from(limit).unwrap_or(i64::MAX));
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(owner).bind(after).bind(limit).fetch_all(pool).await
        })
        .map_err(|error| failed("listing todos", error))
    }

    pub(crate) async fn todo(&self, owner: &str, id: &str) -> Result<Option<Todo>> {
        let query = "SELECT * FROM todos WHERE owner = $1 AND id = $2";
        on!(&self.database, pool => sqlx::query_as(query).bind(owner).bind(id).fetch_optional(pool).await)
            .map_err(|error| failed("reading a todo", error))
    }

    /// Writes a todo, if what it was based on still stands. The same write again, whose answer was lost say, is answered alike.
    pub(crate) async fn write(
        &self,
        owner: &str,
        id: &str,
        text: &str,
        done: bool,
        based_on: &Precondition,
    ) -> Result<Written> {
        let standing = self.todo(owner, id).await?;
        let version = standing.as_ref().map(|todo| todo.version);
        if based_on.holds(version) {
            let written = match version {
                None => self.insert(owner, id, text, done).await?,
                Some(version) => self.update(owner, id, text, done, version).await?,
            };
            if let Some(todo) = written {
                return Ok(Written::Done(todo));
            }
        }
        // Somebody was faster; it may have been this very write.
        let standing = self.todo(owner, id).await?;
        let before = standing.as_ref().and_then(|todo| todo.version.checked_sub(1));
        let is_repeated = based_on.holds(before.filter(|version| *version > 0))
            && standing.as_ref().is_some_and(|todo| todo.text == text && todo.done == done);
        Ok(match standing {
            Some(todo) if is_repeated => Written::Done(todo),
            standing => Written::Stale(standing),
        })
    }

    async fn insert(&self, owner: &str, id: &str, text: &str, done: bool) -> Result<Option<Todo>> {
        let count = "SELECT count(*) FROM todos WHERE owner = $1 AND id <> $2";
        let insert = "INSERT INTO todos (owner, id, text, done, version, at) VALUES ($1, $2, $3, $4, 1, $5) \
                      ON CONFLICT DO NOTHING RETURNING *";
        let at = self.clock.now().as_micros();
        let writing = |error| failed("writing a todo", error);
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(writing)?;
            let lock = sqlx::query(LOCK.to(&self.database)).bind(owner).execute(&mut *transaction);
            lock.await.map_err(writing)?;
            let count = sqlx::query_as(count).bind(owner).bind(id).fetch_one(&mut *transaction);
            let (others,): (i64,) = count.await.map_err(writing)?;
            if others >= MOST {
                let enough = format!("nobody has more than {MOST} todos: finish some first");
                return Err(Error::new(ErrorKind::Conflict, enough));
            }
            let insert = sqlx::query_as(insert).bind(owner).bind(id).bind(text).bind(done).bind(at);
            let inserted = insert.fetch_optional(&mut *transaction).await.map_err(writing)?;
            transaction.commit().await.map_err(writing)?;
            Ok(inserted)
        })
    }

    async fn update(
        &self,
        owner: &str,
        id: &str,
        text: &str,
        done: bool,
        version: u64,
    ) -> Result<Option<Todo>> {
        let update = "UPDATE todos SET text = $3, done = $4, version = version + 1, at = $5 \
                      WHERE owner = $1 AND id = $2 AND version = $6 RETURNING *";
        let at = self.clock.now().as_micros();
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            let update = sqlx::query_as(update).bind(owner).bind(id).bind(text).bind(done).bind(at);
            update.bind(version).fetch_optional(pool).await
        })
        .map_err(|error| failed("writing a todo", error))
    }

    /// Deletes a todo, if the version that was read still stands; nothing is there to be deleted twice.
    pub(crate) async fn delete(&self, owner: &str, id: &str, based_on: &Precondition) -> Result<Deleted> {
        let Some(standing) = self.todo(owner, id).await? else { return Ok(Deleted::Missing) };
        if !based_on.holds(Some(standing.version)) {
            return Ok(Deleted::Stale(standing));
        }
        let delete = "DELETE FROM todos WHERE owner = $1 AND id = $2 AND version = $3";
        let version = i64::try_from(standing.version).unwrap_or(i64::MAX);
        let deleted = on!(&self.database, pool => {
            let delete = sqlx::query(delete).bind(owner).bind(id).bind(version);
            delete.execute(pool).await.map(|done| done.rows_affected())
        })
        .map_err(|error| failed("deleting a todo", error))?;
        if deleted > 0 {
            return Ok(Deleted::Done);
        }
        Ok(self.todo(owner, id).await?.map_or(Deleted::Missing, Deleted::Stale))
    }
}

/// What became of a deletion.
pub(crate) enum Deleted {
    Done,
    /// There is no such todo.
    Missing,
    /// Another version stands.
    Stale(Todo),
}
