//! The database of the services: what was written, the outbox, the inbox and the effects.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pumasi_core::database::open_sqlite;
use pumasi_core::event::{
    Delivery, Envelope, Handler, OutboxStore, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use crate::{Failure, Setup};

/// One key's effects in the order of their commits.
pub(crate) type Effects = BTreeMap<String, Vec<i64>>;

#[derive(Clone)]
pub(crate) enum Database {
    Sqlite { service: SqlitePool, effects: SqlitePool },
    Postgres { pool: PgPool, schema: String },
}

const NEXT: &str =
    "INSERT INTO counter VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET n = counter.n + 1 RETURNING n";
const EFFECT: &str = "INSERT INTO effect (key, version) VALUES ($1, $2)";
const EFFECTS: &str = "SELECT key, version FROM effect ORDER BY n";
const COUNTERS: &str = "SELECT key, n FROM counter";
const COMMITTED: &str = "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM counter";

impl Database {
    /// Makes the tables.
    pub(crate) async fn create(setup: &Setup, folder: &Path) -> Result<Self, Failure> {
        if setup.database == "postgres" {
            let admin = PgPool::connect(&std::env::var("PUMASI_POSTGRES_URL")?).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {}", setup.run)))
                .execute(&admin)
                .await?;
            admin.close().await;
        }
        let database = Self::open(setup, folder).await?;
        match &database {
            Self::Sqlite { service, effects } => {
                sqlx::raw_sql(include_str!("sql/sqlite.sql")).execute(service).await?;
                sqlx::raw_sql(include_str!("sql/sqlite.sql")).execute(effects).await?;
                SqliteOutbox::new(service.clone()).migrate().await?;
                SqliteInbox::new(effects.clone()).migrate().await?;
            }
            Self::Postgres { pool, .. } => {
                sqlx::raw_sql(include_str!("sql/postgres.sql")).execute(pool).await?;
                PostgresOutbox::new(pool.clone()).migrate().await?;
                PostgresInbox::new(pool.clone()).migrate().await?;
            }
        }
        Ok(database)
    }

    pub(crate) async fn open(setup: &Setup, folder: &Path) -> Result<Self, Failure> {
        if setup.database == "postgres" {
            let options: PgConnectOptions = std::env::var("PUMASI_POSTGRES_URL")?.parse()?;
            let options = options.options([("search_path", setup.run.as_str())]);
            let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await?;
            return Ok(Self::Postgres { pool, schema: setup.run.clone() });
        }
        let file = |name: &str| {
            SqliteConnectOptions::new()
                .filename(folder.join(name))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(30))
        };
        let pool = || SqlitePoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(60));
        Ok(Self::Sqlite {
            service: open_sqlite(pool(), file("service.db")).await?,
            effects: open_sqlite(pool(), file("effects.db")).await?,
        })
    }

    pub(crate) async fn remove(self) -> Result<(), Failure> {
        if let Self::Postgres { pool, schema } = self {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE")))
                .execute(&pool)
                .await?;
            pool.close().await;
        }
        Ok(())
    }

    /// Counts the events whose transactions have committed.
    pub(crate) async fn committed(&self) -> Result<i64, Failure> {
        Ok(match self {
            Self::Sqlite { service, .. } => sqlx::query_scalar(COMMITTED).fetch_one(service).await?,
            Self::Postgres { pool, .. } => sqlx::query_scalar(COMMITTED).fetch_one(pool).await?,
        })
    }

    /// Tells how many events of each key were committed.
    pub(crate) async fn counters(&self) -> Result<Vec<(String, i64)>, Failure> {
        Ok(match self {
            Self::Sqlite { service, .. } => sqlx::query_as(COUNTERS).fetch_all(service).await?,
            Self::Postgres { pool, .. } => sqlx::query_as(COUNTERS).fetch_all(pool).await?,
        })
    }

    pub(crate) async fn effects(&self) -> Result<Effects, Failure> {
        let rows: Vec<(String, i64)> = match self {
            Self::Sqlite { effects, .. } => sqlx::query_as(EFFECTS).fetch_all(effects).await?,
            Self::Postgres { pool, .. } => sqlx::query_as(EFFECTS).fetch_all(pool).await?,
        };
        let mut all = Effects::new();
        for (key, version) in rows {
            all.entry(key).or_default().push(version);
        }
        Ok(all)
    }

    pub(crate) fn outbox(&self) -> std::sync::Arc<dyn OutboxStore> {
        match self {
            Self::Sqlite { service, .. } => {
                std::sync::Arc::new(SqliteOutbox::new(service.clone()).with_poll(Duration::from_millis(20)))
            }
            Self::Postgres { pool, .. } => std::sync::Arc::new(PostgresOutbox::new(pool.clone())),
        }
    }

    /// Counts the keys up by one each, and writes an event for each, in one transaction; or, where that is the planted
    /// mistake, the events after it.
    pub(crate) async fn write(
        &self,
        keys: &[String],
        in_transaction: bool,
        event: impl Fn(&str, i64) -> Envelope,
    ) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(keys.len());
        macro_rules! write {
            ($pool:expr, $transaction:expr, $outbox:ident) => {{
                let outbox = $outbox::new($pool.clone());
                let mut transaction = $transaction.await?;
                for key in keys {
                    let version = sqlx::query_scalar(NEXT).bind(key).fetch_one(&mut *transaction).await?;
                    events.push(event(key, version));
                }
                if in_transaction {
                    outbox.publish_in(&mut transaction, &events).await?;
                }
                transaction.commit().await?;
                if !in_transaction {
                    let mut transaction = $pool.begin().await?;
                    outbox.publish_in(&mut transaction, &events).await?;
                    transaction.commit().await?;
                }
            }};
        }
        match self {
            Self::Sqlite { service, .. } => {
                write!(service, service.begin_with("BEGIN IMMEDIATE"), SqliteOutbox);
            }
            Self::Postgres { pool, .. } => write!(pool, pool.begin(), PostgresOutbox),
        }
        Ok(())
    }

    /// Makes the handler: one effect per event, once, or, where that is the planted mistake, as often as it comes.
    pub(crate) fn handler(&self, group: String, once: bool) -> Box<dyn Handler> {
        macro_rules! handler {
            ($pool:expr, $inbox:ident) => {{
                let inbox = $inbox::new($pool.clone());
                if once {
                    Box::new(inbox.handler(group, |connection, delivery| {
                        Box::pin(async move {
                            sqlx::query(EFFECT)
                                .bind(&delivery.event.key)
                                .bind(i64::try_from(delivery.event.version).unwrap_or(-1))
                                .execute(connection)
                                .await?;
                            Ok(())
                        })
                    }))
                } else {
                    let pool = $pool.clone();
                    Box::new(pumasi_core::event::handler_fn(move |delivery: Delivery| {
                        let pool = pool.clone();
                        async move {
                            let written = sqlx::query(EFFECT)
                                .bind(&delivery.event.key)
                                .bind(i64::try_from(delivery.event.version).unwrap_or(-1))
                                .execute(&pool)
                                .await;
                            written.map(|_| ()).map_err(|_| {
                                pumasi_core::Error::new(pumasi_core::ErrorKind::Unavailable, "not written")
                            })
                        }
                    }))
                }
            }};
        }
        match self {
            Self::Sqlite { effects, .. } => handler!(effects, SqliteInbox),
            Self::Postgres { pool, .. } => handler!(pool, PostgresInbox),
        }
    }
}
