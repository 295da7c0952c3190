//! Places in a SQLite file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::database::{Migration, failed};
use pumasi_core::time::{Clock, SystemClock};
use serde_json::{Value, json};
use sqlx::{Row, SqlitePool};

use super::ledger::{Ledger, as_stored, check_name, no_pool};
use super::table::{counting, hold, holds, places, places_of, unsigned};
use super::{Answer, CapacityStore, Hold, Places, Request, Ticket};
use crate::Result;

const MIGRATION: Migration = Migration {
    component: "capacity",
    begin: include_str!("sql/sqlite/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_capacity_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

/// Keeps places in a SQLite file, which the processes of a machine may share.
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_capacity_`.
/// - **Durability** is that of your connections: `synchronous = FULL` and the write-ahead log, if a loss of power must lose
///   nothing.
/// - **Clock.** Holds end by the machine's clock. When it jumps ahead they end early, when it jumps back they last longer;
///   neither grants a place twice.
///
/// Clones share the pool.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use pumasi_saga::capacity::{Capacity, SqliteCapacity};
/// use sqlx::SqlitePool;
/// use sqlx::sqlite::SqliteConnectOptions;
///
/// let folder = tempfile::tempdir().unwrap();
/// let file = SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
/// let places = SqliteCapacity::new(SqlitePool::connect_with(file).await?);
/// places.migrate().await?;
/// let race = Capacity::new(places, "seoul-marathon");
/// race.open(500).await?;
/// assert!(race.hold("참가자-7", Duration::from_mins(15)).await?.is_some());
/// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteCapacity {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteCapacity {
    /// Makes a store on the pool's file.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, clock: Arc::new(SystemClock) }
    }

    /// Sets the clock by which holds end (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage` or `Unavailable` if the file failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_sqlite(&self.pool).await
    }
}

impl fmt::Debug for SqliteCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCapacity").finish_non_exhaustive()
    }
}

#[async_trait]
impl CapacityStore for SqliteCapacity {
    async fn open(&self, pool: &str, places: u64) -> Result<()> {
        check_name(pool)?;
        sqlx::query(include_str!("sql/open.sql"))
            .bind(pool)
            .bind(as_stored(places)?)
            .execute(&self.pool)
            .await
            .map_err(|error| failed("opening a pool of places", error))?;
        Ok(())
    }

    async fn apply(&self, pool: &str, requests: &[Request]) -> Result<Vec<Result<Answer>>> {
        let failed = |error| failed("granting places", error);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let now = self.clock.now();
        let row = sqlx::query("SELECT no, total, used, last FROM pumasi_capacity_pool WHERE name = ?1")
            .bind(pool)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?
            .ok_or_else(no_pool)?;
        let number = |place: usize| row.try_get::<i64, _>(place).map_err(failed);
        let (no, total, used, last) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let over = sqlx::query("DELETE FROM pumasi_capacity_hold WHERE pool = ?1 AND until <= ?2")
            .bind(no)
            .bind(now.as_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?
            .rows_affected();
        let asking: Vec<&str> = requests.iter().map(|request| &**request.holder()).collect();
        let rows = sqlx::query(include_str!("sql/sqlite/holds_of.sql"))
            .bind(no)
            .bind(json!(asking).to_string())
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let holds = rows.iter().map(|row| hold(row, 0)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let used = unsigned(used).saturating_sub(over);
        let mut ledger = Ledger::new(unsigned(total), used, Ticket::new(unsigned(last)), now, holds);
        let answers = ledger.apply(requests);
        sqlx::query("UPDATE pumasi_capacity_pool SET used = ?2, last = ?3 WHERE no = ?1")
            .bind(no)
            .bind(i64::try_from(ledger.used).unwrap_or(i64::MAX))
            .bind(ledger.last.signed())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (holder, hold) in ledger.changes() {
            match hold {
                Some(hold) => kept.push(json!([
                    &*holder,
                    hold.ticket.signed(),
                    hold.until().map(pumasi_core::time::Timestamp::as_micros)
                ])),
                None => gone.push(json!(&*holder)),
            }
        }
        if !gone.is_empty() {
            sqlx::query("DELETE FROM pumasi_capacity_hold WHERE pool = ?1 AND holder IN (SELECT value FROM json_each(?2))")
                .bind(no)
                .bind(Value::Array(gone).to_string())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        if !kept.is_empty() {
            sqlx::query(include_str!("sql/sqlite/keep.sql"))
                .bind(no)
                .bind(Value::Array(kept).to_string())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(answers)
    }

    async fn places(&self, pool: &str) -> Result<Places> {
        let row = sqlx::query(include_str!("sql/places.sql"))
            .bind(pool)
            .bind(self.clock.now().as_micros())
            .fetch_optional(&self.pool)
            .await
            .map_err(counting)?
            .ok_or_else(no_pool)?;
        places(&row, 0).map_err(counting)
    }

    async fn places_of(&self, pools: &[String]) -> Result<Vec<Option<Places>>> {
        let rows = sqlx::query(include_str!("sql/sqlite/places_of.sql"))
            .bind(json!(pools).to_string())
            .bind(self.clock.now().as_micros())
            .fetch_all(&self.pool)
            .await;
        places_of(rows, pools)
    }

    async fn holds(&self, pool: &str, after: Ticket, limit: usize) -> Result<Vec<Hold>> {
        self.places(pool).await?;
        let rows = sqlx::query(include_str!("sql/holds.sql"))
            .bind(pool)
            .bind(after.signed())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(self.clock.now().as_micros())
            .fetch_all(&self.pool)
            .await;
        holds(rows)
    }
}
