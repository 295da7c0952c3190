//! Places in PostgreSQL.

use std::fmt;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use pumasi_core::time::Timestamp;
use sqlx::{PgPool, Row};

use super::ledger::{Ledger, as_stored, check_name, no_pool};
use super::table::{counting, hold, holds, places, places_of, unsigned};
use super::{Answer, CapacityStore, Hold, Places, Request, Ticket};
use crate::Result;

const MIGRATION: Migration = Migration {
    component: "capacity",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_capacity_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Keeps places in PostgreSQL 12 or newer, shared by any number of processes.
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_capacity_`, in the first schema of the
///   connection's `search_path`.
/// - **One lock a call.** A call locks its pool's row, decides for all of its requests, and writes them with three
///   statements, however many they are. Other pools are not in the way.
/// - **Clock.** Holds end by the server's clock.
///
/// Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_saga::Result<()> {
/// use std::time::Duration;
/// use pumasi_saga::capacity::{Capacity, PostgresCapacity};
///
/// let places = PostgresCapacity::new(pool);
/// places.migrate().await?;
/// let race = Capacity::new(places, "seoul-marathon");
/// race.open(500).await?;
/// let held = race.hold("참가자-7", Duration::from_mins(15)).await?;
/// # let _ = held;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresCapacity {
    pool: PgPool,
}

impl PostgresCapacity {
    /// Makes a store on the pool's database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }

    async fn now(&self) -> Result<i64> {
        let row = sqlx::query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .fetch_one(&self.pool)
            .await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed("asking the server's clock", error))
    }
}

impl fmt::Debug for PostgresCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresCapacity").finish_non_exhaustive()
    }
}

#[async_trait]
impl CapacityStore for PostgresCapacity {
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
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let lock = "SELECT no, total, used, last FROM pumasi_capacity_pool WHERE name = $1 FOR UPDATE";
        let row = sqlx::query(lock)
            .bind(pool)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?
            .ok_or_else(no_pool)?;
        let no: i32 = row.try_get(0).map_err(failed)?;
        let number = |place: usize| row.try_get::<i64, _>(place).map(unsigned).map_err(failed);
        let (total, used, last) = (number(1)?, number(2)?, number(3)?);
        // A name with a NUL is refused by the ledger, and would be by the server, with all the others.
        let asking: Vec<&str> = requests
            .iter()
            .map(|request| &**request.holder())
            .filter(|holder| check_name(holder).is_ok())
            .collect();
        let rows = sqlx::query(include_str!("sql/postgres/read.sql"))
            .bind(no)
            .bind(asking)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let (mut now, mut over, mut holds) = (0, 0, Vec::with_capacity(rows.len()));
        for row in &rows {
            now = row.try_get(0).map_err(failed)?;
            over = unsigned(row.try_get(1).map_err(failed)?);
            if row.try_get::<Option<&str>, _>("holder").map_err(failed)?.is_some() {
                holds.push(hold(row, 2).map_err(failed)?);
            }
        }
        let (now, used) = (Timestamp::from_micros(now), used.saturating_sub(over));
        let mut ledger = Ledger::new(total, used, Ticket::new(last), now, holds);
        let answers = ledger.apply(requests);
        let (used, last) = (ledger.used, ledger.last);
        let (mut holders, mut tickets, mut ends, mut gone) = (vec![], vec![], vec![], vec![]);
        for (holder, hold) in ledger.changes() {
            match hold {
                Some(hold) => {
                    tickets.push(hold.ticket.signed());
                    ends.push(hold.until().map(Timestamp::as_micros));
                    holders.push(holder);
                }
                None => gone.push(holder),
            }
        }
        sqlx::query(include_str!("sql/postgres/write.sql"))
            .bind(no)
            .bind(i64::try_from(used).unwrap_or(i64::MAX))
            .bind(last.signed())
            .bind(holders.iter().map(|holder| &**holder).collect::<Vec<&str>>())
            .bind(tickets)
            .bind(ends)
            .bind(gone.iter().map(|holder| &**holder).collect::<Vec<&str>>())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(answers)
    }

    async fn places(&self, pool: &str) -> Result<Places> {
        let row = sqlx::query(include_str!("sql/places.sql"))
            .bind(pool)
            .bind(self.now().await?)
            .fetch_optional(&self.pool)
            .await
            .map_err(counting)?
            .ok_or_else(no_pool)?;
        places(&row, 0).map_err(counting)
    }

    async fn places_of(&self, pools: &[String]) -> Result<Vec<Option<Places>>> {
        // The server takes no name with a NUL; nor is there such a pool.
        let names: Vec<&str> =
            pools.iter().map(String::as_str).filter(|pool| check_name(pool).is_ok()).collect();
        let rows = sqlx::query(include_str!("sql/postgres/places_of.sql"))
            .bind(names)
            .bind(self.now().await?)
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
            .bind(self.now().await?)
            .fetch_all(&self.pool)
            .await;
        holds(rows)
    }
}
