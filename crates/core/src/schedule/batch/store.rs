//! Where a run's position is kept: beside the tables that its chunks write.

use std::ops::DerefMut;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Database, Pool, Row};

use super::job::{BatchRun, Progress};
use crate::Result;
use crate::database::Migration;
#[cfg(feature = "postgres")]
use crate::database::begin_postgres;
use crate::event::Reason;
use crate::schedule::database::signed;
use crate::time::{Clock, Timestamp};

/// The tables, which are the same on both databases.
const MIGRATION: Migration = Migration {
    component: "batches",
    begin: "CREATE TABLE IF NOT EXISTS pumasi_batch_schema (version INTEGER NOT NULL)",
    read: "SELECT coalesce(max(version), 0) FROM pumasi_batch_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// How far a run has come, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Completed,
    Stopped,
    Failed,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A run as it is stored.
#[derive(Debug)]
pub struct Stored {
    pub status: Status,
    pub position: Option<String>,
    pub progress: Progress,
    pub chunks: i64,
    pub fence: i64,
    pub lease_until: Timestamp,
    pub announced: bool,
}

/// What a transaction makes of a run.
#[derive(Debug)]
pub struct Change<'c> {
    pub run: &'c BatchRun,
    pub status: Status,
    /// `None` leaves it where it was.
    pub position: Option<String>,
    pub progress: &'c Progress,
    /// How many chunks must have been committed before.
    pub after_chunks: u64,
    pub lease_until: Timestamp,
    pub ended: Option<Timestamp>,
    pub reason: Option<&'c Reason>,
    pub announced: bool,
}

fn undecodable(column: &str, why: &'static str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: why.into() }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Numbers and strings: this cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// The statements, for one database; not to be called.
#[async_trait]
pub trait Statements: Database {
    type Writing: DerefMut<Target = Self::Connection> + Send + Sync;

    async fn prepare(pool: &Pool<Self>) -> Result<()>;
    async fn start(pool: &Pool<Self>) -> sqlx::Result<Self::Writing>;
    async fn commit(writing: Self::Writing) -> sqlx::Result<()>;
    async fn rollback(writing: Self::Writing) -> sqlx::Result<()>;
    async fn moment(
        connection: &mut Self::Connection,
        clock: Option<&Arc<dyn Clock>>,
    ) -> sqlx::Result<Timestamp>;
    async fn insert(connection: &mut Self::Connection, run: &BatchRun, now: Timestamp) -> sqlx::Result<()>;
    async fn load(connection: &mut Self::Connection, run: &BatchRun) -> sqlx::Result<Stored>;
    async fn take(
        connection: &mut Self::Connection,
        run: &BatchRun,
        progress: &Progress,
        lease_until: Timestamp,
    ) -> sqlx::Result<()>;
    /// Tells whether the run was still held.
    async fn renew(
        connection: &mut Self::Connection,
        run: &BatchRun,
        lease_until: Timestamp,
    ) -> sqlx::Result<bool>;
    /// Tells whether the change was made.
    async fn save(connection: &mut Self::Connection, change: &Change<'_>) -> sqlx::Result<bool>;
    async fn announced(connection: &mut Self::Connection, run: &BatchRun) -> sqlx::Result<()>;
}

/// A database that batches can write to: `sqlx::Sqlite` (feature `sqlite`) and `sqlx::Postgres` (feature `postgres`). Sealed.
pub trait BatchDatabase: Statements {}

/// The statements are the same to the letter; what differs is how a transaction begins, a row is locked and a clock is read.
macro_rules! statements {
    ($database:ty, $connection:ty, lock: $lock:literal, { $($own:tt)* }) => {
        #[async_trait]
        impl Statements for $database {
            $($own)*

            async fn commit(writing: Self::Writing) -> sqlx::Result<()> {
                writing.commit().await
            }

            async fn rollback(writing: Self::Writing) -> sqlx::Result<()> {
                writing.rollback().await
            }

            async fn insert(connection: &mut $connection, run: &BatchRun, now: Timestamp) -> sqlx::Result<()> {
                sqlx::query(include_str!("sql/insert.sql"))
                    .bind(run.id.to_string())
                    .bind(&run.job)
                    .bind(json(&run.parameters))
                    .bind(now.as_micros())
                    .execute(connection)
                    .await
                    .map(|_| ())
            }

            async fn load(connection: &mut $connection, run: &BatchRun) -> sqlx::Result<Stored> {
                let row = sqlx::query(concat!(
                    "SELECT status, position, progress, chunks, fence, lease_until, announced \
                     FROM pumasi_batch_run WHERE id = $1",
                    $lock
                ))
                .bind(run.id.to_string())
                .fetch_one(connection)
                .await?;
                let status: String = row.try_get(0)?;
                let status = [Status::Running, Status::Completed, Status::Stopped, Status::Failed]
                    .into_iter()
                    .find(|known| known.as_str() == status)
                    .ok_or_else(|| undecodable("status", "a status that this program does not know"))?;
                let progress: String = row.try_get(2)?;
                let progress = match progress.as_str() {
                    "{}" => Progress::default(),
                    text => serde_json::from_str(text)
                        .map_err(|_| undecodable("progress", "a progress that this program cannot read"))?,
                };
                Ok(Stored {
                    status,
                    position: row.try_get(1)?,
                    progress,
                    chunks: row.try_get(3)?,
                    fence: row.try_get(4)?,
                    lease_until: Timestamp::from_micros(row.try_get(5)?),
                    announced: row.try_get(6)?,
                })
            }

            async fn take(
                connection: &mut $connection,
                run: &BatchRun,
                progress: &Progress,
                lease_until: Timestamp,
            ) -> sqlx::Result<()> {
                sqlx::query(include_str!("sql/take.sql"))
                    .bind(run.id.to_string())
                    .bind(signed(run.fence))
                    .bind(lease_until.as_micros())
                    .bind(json(progress))
                    .execute(connection)
                    .await
                    .map(|_| ())
            }

            async fn renew(
                connection: &mut $connection,
                run: &BatchRun,
                lease_until: Timestamp,
            ) -> sqlx::Result<bool> {
                sqlx::query(
                    "UPDATE pumasi_batch_run SET lease_until = $3 WHERE id = $1 AND fence = $2 AND status = 'running'",
                )
                .bind(run.id.to_string())
                .bind(signed(run.fence))
                .bind(lease_until.as_micros())
                .execute(connection)
                .await
                .map(|done| done.rows_affected() > 0)
            }

            async fn save(connection: &mut $connection, change: &Change<'_>) -> sqlx::Result<bool> {
                sqlx::query(include_str!("sql/save.sql"))
                    .bind(change.run.id.to_string())
                    .bind(signed(change.run.fence))
                    .bind(signed(change.after_chunks))
                    .bind(change.status.as_str())
                    .bind(change.position.as_deref())
                    .bind(json(change.progress))
                    .bind(signed(change.progress.chunks))
                    .bind(change.lease_until.as_micros())
                    .bind(change.ended.map(Timestamp::as_micros))
                    .bind(change.reason.map(|reason| reason.kind.as_str()))
                    .bind(change.reason.map(|reason| reason.message.as_str()))
                    .bind(change.announced)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() > 0)
            }

            async fn announced(connection: &mut $connection, run: &BatchRun) -> sqlx::Result<()> {
                sqlx::query("UPDATE pumasi_batch_run SET announced = TRUE WHERE id = $1")
                    .bind(run.id.to_string())
                    .execute(connection)
                    .await
                    .map(|_| ())
            }
        }

        impl BatchDatabase for $database {}
    };
}

#[cfg(feature = "sqlite")]
statements!(
    sqlx::Sqlite,
    sqlx::SqliteConnection,
    lock: "",
    {
    type Writing = crate::database::Writing;

    async fn prepare(pool: &Pool<Self>) -> Result<()> {
        MIGRATION.on_sqlite(pool).await
    }
    async fn start(pool: &Pool<Self>) -> sqlx::Result<Self::Writing> {
        crate::database::Writing::begin(pool).await
    }
    async fn moment(_: &mut sqlx::SqliteConnection, clock: Option<&Arc<dyn Clock>>) -> sqlx::Result<Timestamp> {
        Ok(clock.map_or_else(|| std::time::SystemTime::now().into(), Clock::now))
    }
    }
);

#[cfg(feature = "postgres")]
statements!(
    sqlx::Postgres,
    sqlx::PgConnection,
    lock: " FOR UPDATE",
    {
    type Writing = sqlx::Transaction<'static, sqlx::Postgres>;

    async fn prepare(pool: &Pool<Self>) -> Result<()> {
        MIGRATION.on_postgres(pool).await
    }
    async fn start(pool: &Pool<Self>) -> sqlx::Result<Self::Writing> {
        begin_postgres(pool, "BEGIN").await
    }
    async fn moment(
        connection: &mut sqlx::PgConnection,
        clock: Option<&Arc<dyn Clock>>,
    ) -> sqlx::Result<Timestamp> {
        match clock {
            Some(clock) => Ok(clock.now()),
            None => crate::schedule::database::server_clock(connection).await,
        }
    }
    }
);
