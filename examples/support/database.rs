//! A service's own tables, in a file or in PostgreSQL: one SQL for both, as far as it goes.

use std::path::Path;
use std::time::Duration;

use pumasi_core::Result;
#[cfg(feature = "postgres")]
use pumasi_core::database::begin_postgres;
use pumasi_core::database::{failed, open_sqlite};
#[cfg(feature = "postgres")]
use sqlx::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqliteConnection, SqlitePool};

use crate::servers::Pool;

/// Where the tables are. What a call on it returned is on the disk. Clones share it.
#[derive(Clone, Debug)]
pub enum Database {
    /// An SQLite file.
    Sqlite(SqlitePool),
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(Pool),
}

/// A connection within a transaction of whichever database it is; [`within!`](crate::within) does the same on each.
#[derive(Debug)]
pub enum Connection<'c> {
    /// To an SQLite file.
    Sqlite(&'c mut SqliteConnection),
    /// To a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(&'c mut PgConnection),
}

impl<'c> From<&'c mut SqliteConnection> for Connection<'c> {
    fn from(open: &'c mut SqliteConnection) -> Self {
        Self::Sqlite(open)
    }
}

#[cfg(feature = "postgres")]
impl<'c> From<&'c mut PgConnection> for Connection<'c> {
    fn from(open: &'c mut PgConnection) -> Self {
        Self::Postgres(open)
    }
}

/// What is said to each engine, where one SQL does not do.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

impl Sql {
    /// Says the same to both.
    pub const fn both(sql: &'static str) -> Self {
        Self { sqlite: sql, postgres: sql }
    }

    /// What is said to this database.
    pub const fn to(self, database: &Database) -> &'static str {
        match database {
            Database::Sqlite(_) => self.sqlite,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => self.postgres,
        }
    }
}

impl Database {
    /// Opens the database, or else the file, and makes the tables that are missing: `schema` may run again.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn open(file: &Path, database: Option<Pool>, schema: Sql) -> Result<Self> {
        let opening = |error| failed("opening the tables of the service", error);
        match database {
            #[cfg(feature = "postgres")]
            Some(pool) => {
                let mut transaction = begin_postgres(&pool, "BEGIN").await.map_err(opening)?;
                // Two processes that make one table at once fail even with IF NOT EXISTS.
                sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('example'))")
                    .execute(&mut *transaction)
                    .await
                    .map_err(opening)?;
                sqlx::raw_sql(schema.postgres).execute(&mut *transaction).await.map_err(opening)?;
                transaction.commit().await.map_err(opening)?;
                Ok(Self::Postgres(pool))
            }
            _ => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(10));
                let pool = open_sqlite(SqlitePoolOptions::new().max_connections(4), options).await;
                let pool = pool.map_err(opening)?;
                sqlx::raw_sql(schema.sqlite).execute(&pool).await.map_err(opening)?;
                Ok(Self::Sqlite(pool))
            }
        }
    }
}

/// Does the same within a transaction of whichever [`Database`](crate::database::Database) it is: `within!(connection, open => …)`.
#[macro_export]
macro_rules! within {
    ($connection:expr, $open:ident => $body:expr) => {
        match $connection {
            $crate::database::Connection::Sqlite($open) => $body,
            #[cfg(feature = "postgres")]
            $crate::database::Connection::Postgres($open) => $body,
        }
    };
}

/// Does the same on whichever [`Database`](crate::database::Database) it is: `on!(database, pool => …)`, or, for a transaction
/// that writes, `on!(database, pool, begin => …begin().await…)`. Parameters are `$1`, `$2`, … in both engines.
#[macro_export]
macro_rules! on {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::database::Database::Sqlite($pool) => $body,
            #[cfg(feature = "postgres")]
            $crate::database::Database::Postgres($pool) => $body,
        }
    };
    // In a file nobody else writes from the beginning of such a transaction on.
    ($database:expr, $pool:ident, $begin:ident => $body:expr) => {
        match $database {
            $crate::database::Database::Sqlite($pool) => {
                let $begin = || $pool.begin_with("BEGIN IMMEDIATE");
                $body
            }
            #[cfg(feature = "postgres")]
            $crate::database::Database::Postgres($pool) => {
                let $begin = || pumasi_core::database::begin_postgres($pool, "BEGIN");
                $body
            }
        }
    };
}
