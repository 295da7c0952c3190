//! The embedded, durable store.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::database::{Migration, failed, open_sqlite};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::query::Statement;
use super::{TaskQuery, TaskRecord, TaskState, TaskStore};

const MIGRATION: Migration = Migration {
    component: "tasks of posts",
    begin: include_str!("sql/sqlite_begin.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_post_tasks_schema",
    steps: &[include_str!("sql/sqlite_1.sql"), include_str!("sql/sqlite_2.sql")],
};

/// Keeps records in a table of an SQLite file, which may be the file of the event bus or of the service itself.
///
/// What [`put`](TaskStore::put) returned is on disk (write-ahead log, `synchronous = FULL`). Several processes may share
/// the file.
#[derive(Clone, Debug)]
pub struct SqliteTaskStore {
    pool: SqlitePool,
}

impl SqliteTaskStore {
    /// Opens the file, and makes it and its table if they do not exist.
    ///
    /// # Errors
    ///
    /// As [`with_pool`](Self::with_pool); `Storage` if the file is no SQLite database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = open_sqlite(SqlitePoolOptions::new().max_connections(4), options).await;
        Self::with_pool(pool.map_err(|error| failed("opening the file of the tasks", error))?).await
    }

    /// Uses a pool that the service already has, and makes the table or brings it up to date.
    ///
    /// Durability is then as the pool's settings say.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage` or `Unavailable` if the file failed.
    pub async fn with_pool(pool: SqlitePool) -> Result<Self> {
        MIGRATION.on_sqlite(&pool).await?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl TaskStore for SqliteTaskStore {
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
        let (text, version) = record.written()?;
        let done = sqlx::query(include_str!("sql/put.sql"))
            .bind(&record.post_id)
            .bind(version)
            .bind(i64::from(record.round))
            .bind(record.state.as_str())
            .bind(record.state.is_settled())
            .bind(i64::from(record.attempts))
            .bind(record.place().posted_at.as_micros())
            .bind(text)
            .execute(&self.pool)
            .await
            .map_err(|error| failed("writing a task record", error))?;
        if done.rows_affected() > 0 {
            return Ok(record);
        }
        // Records are never removed, so one stands.
        self.get(&record.post_id)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Storage, "a task record is gone from the table"))
    }

    async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT record FROM pumasi_post_tasks WHERE post_id = ?1")
                .bind(post_id)
                .fetch_optional(&self.pool)
                .await
                .map_err(|error| failed("reading a task record", error))?;
        row.map(|(record,)| TaskRecord::read(&record)).transpose()
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>> {
        let Statement { sql, after, posted_at } = query.statement();
        let mut statement = sqlx::query_as::<_, (String,)>(sql)
            .bind(after)
            .bind(query.state.map(TaskState::as_str))
            .bind(TaskState::Withdrawing.as_str())
            .bind(TaskState::Withdrawn.as_str())
            .bind(i64::try_from(query.limit()).unwrap_or(i64::MAX));
        if let Some(posted_at) = posted_at {
            statement = statement.bind(posted_at);
        }
        let rows =
            statement.fetch_all(&self.pool).await.map_err(|error| failed("listing task records", error))?;
        rows.iter().map(|(record,)| TaskRecord::read(record)).collect()
    }
}
