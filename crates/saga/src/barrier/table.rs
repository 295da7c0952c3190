//! Barriers in tables of the participant's own database.

use pumasi_core::database::{Migration, failed};

use super::{Entry, Operation, Seen};
use crate::Result;

const MIGRATION: Migration = Migration {
    component: "barrier",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_barrier_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};
const LOCK: &str = include_str!("sql/lock.sql");
const NOTE: &str = "UPDATE pumasi_barrier SET done = $2, undone = $3 WHERE step_key = $1";
const READ: &str = "SELECT done, undone FROM pumasi_barrier WHERE step_key = $1";

macro_rules! table {
    ($(#[$doc:meta])* $barrier:ident, $pool:ty, $connection:ty, $migrate:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $barrier;

        impl $barrier {
            /// Makes the table, or brings it up to date; several processes may call it at the same time.
            ///
            /// # Errors
            ///
            /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or
            /// `Unauthorized` if the database failed.
            pub async fn migrate(pool: &$pool) -> Result<()> {
                MIGRATION.$migrate(pool).await
            }

            /// Decides about an operation under a key, and notes it, in the transaction that `connection` is in: the one that
            /// has the effect, or undoes it. Another transaction with the same key waits until this one has ended.
            ///
            /// # Errors
            ///
            /// `Conflict`, `Storage` or `Unavailable` if the database failed: roll the transaction back.
            pub async fn enter(connection: &mut $connection, key: &str, operation: Operation) -> Result<Entry> {
                let failed = |error| failed("entering a barrier", error);
                let row: (bool, bool) =
                    sqlx::query_as(LOCK).bind(key).fetch_one(&mut *connection).await.map_err(failed)?;
                let before = Seen::new(row.0, row.1);
                let mut seen = before;
                let entry = seen.enter(operation);
                if seen != before {
                    let note = sqlx::query(NOTE).bind(key).bind(seen.done).bind(seen.undone);
                    note.execute(connection).await.map_err(failed)?;
                }
                Ok(entry)
            }

            /// Returns what is known of a key, for a step's probe.
            ///
            /// # Errors
            ///
            /// `Storage` or `Unavailable` if the database failed.
            pub async fn seen(connection: &mut $connection, key: &str) -> Result<Seen> {
                let row: Option<(bool, bool)> = sqlx::query_as(READ)
                    .bind(key)
                    .fetch_optional(connection)
                    .await
                    .map_err(|error| failed("looking at a barrier", error))?;
                Ok(row.map_or_else(Seen::default, |(done, undone)| Seen::new(done, undone)))
            }
        }
    };
}

#[cfg(feature = "embedded")]
table! {
    /// A barrier as a table, `pumasi_barrier`, of the participant's SQLite file.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use pumasi_saga::barrier::{Entry, Operation, SqliteBarrier};
    /// # use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = SqliteConnectOptions::new().filename(folder.path().join("bank.db")).create_if_missing(true);
    /// # let pool = SqlitePool::connect_with(file).await.unwrap();
    /// SqliteBarrier::migrate(&pool).await?;
    ///
    /// let mut transaction = pool.begin().await.unwrap();
    /// if SqliteBarrier::enter(&mut transaction, "the step's key", Operation::Do).await? == Entry::First {
    ///     // … have the effect, in the same transaction
    /// }
    /// transaction.commit().await.unwrap();
    /// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
    /// ```
    SqliteBarrier, sqlx::SqlitePool, sqlx::SqliteConnection, on_sqlite
}

#[cfg(feature = "postgres")]
table! {
    /// A barrier as a table, `pumasi_barrier`, of the participant's PostgreSQL database, in the first schema of the
    /// connection's `search_path`.
    ///
    /// ```no_run
    /// # async fn run(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use pumasi_saga::barrier::{Entry, Operation, PostgresBarrier};
    ///
    /// PostgresBarrier::migrate(&pool).await?;
    /// let mut transaction = pool.begin().await?;
    /// if PostgresBarrier::enter(&mut transaction, "the step's key", Operation::Do).await? == Entry::First {
    ///     // … have the effect, in the same transaction
    /// }
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    PostgresBarrier, sqlx::PgPool, sqlx::PgConnection, on_postgres
}
