//! The store on PostgreSQL.

use async_trait::async_trait;
use pumasi_core::database::{Migration, failed};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::PgPool;

use super::query::Statement;
use super::{TaskQuery, TaskRecord, TaskState, TaskStore};

const MIGRATION: Migration = Migration {
    component: "tasks of posts",
    begin: include_str!("sql/postgres_begin.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_post_tasks_schema",
    steps: &[include_str!("sql/postgres_1.sql"), include_str!("sql/postgres_2.sql")],
};

/// Keeps records in a table, `pumasi_post_tasks`, of a PostgreSQL database, shared by any number of processes.
///
/// The table is in the first schema of the connections' `search_path`.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_core::Result<()> {
/// use pumasi_llm_parse::task::{PostgresTaskStore, TaskStore};
///
/// let store = PostgresTaskStore::new(pool);
/// store.migrate().await?;
/// let record = store.get("post-7").await?;
/// # let _ = record;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresTaskStore {
    pool: PgPool,
}

impl PostgresTaskStore {
    /// Makes a store on the pool's database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the table, or brings it up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }
}

#[async_trait]
impl TaskStore for PostgresTaskStore {
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
        let (text, version) = record.written()?;
        let done = sqlx::query(include_str!("sql/postgres_put.sql"))
            .bind(&record.post_id)
            .bind(version)
            .bind(i64::from(record.round))
            .bind(record.state.as_str())
            .bind(record.state.is_settled())
            .bind(i64::from(record.attempts))
            .bind(i64::try_from(record.usage.total_tokens()).unwrap_or(i64::MAX))
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
            sqlx::query_as("SELECT record FROM pumasi_post_tasks WHERE post_id = $1")
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
