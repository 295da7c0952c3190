//! Schedules in PostgreSQL, shared by every node that reaches it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::ledger::{Ledger, check_name, not_found};
use super::rows::{self, keep_in_rows};
use super::{Claim, ClaimTerms, JobState, Plan, RunEnd, ScheduleStore};
use crate::Result;
use crate::database::begin_postgres;
use crate::schedule::database::{server_clock, signed};
use crate::schedule::{RunRecord, database_error};
use crate::time::{Clock, Timestamp};

/// Keeps schedules in PostgreSQL, in the pool's schema; its tables begin with `pumasi_schedule_`.
///
/// Due times and leases are measured by the server's clock, so that the nodes' clocks need not agree. A job's row is
/// locked while a node plans, claims or settles, for some milliseconds.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pumasi_core::schedule::PostgresSchedule;
/// use sqlx::PgPool;
///
/// let store = PostgresSchedule::new(PgPool::connect("postgres://localhost/service").await?).await?;
/// # let _ = store;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresSchedule {
    pool: PgPool,
    clock: Option<Arc<dyn Clock>>,
}

impl PostgresSchedule {
    /// Keeps schedules in the pool's database, and makes the tables, or brings them up to date.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unauthorized` or `Unavailable` if the
    /// database failed.
    pub async fn new(pool: PgPool) -> Result<Self> {
        rows::MIGRATION.on_postgres(&pool).await?;
        Ok(Self { pool, clock: None })
    }

    /// Measures by `clock` instead of the server's: for tests. All nodes must be given the same.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        begin_postgres(&self.pool, "BEGIN").await
    }

    async fn moment(&self, connection: &mut PgConnection) -> sqlx::Result<Timestamp> {
        match &self.clock {
            Some(clock) => Ok(clock.now()),
            None => server_clock(connection).await,
        }
    }
}

impl fmt::Debug for PostgresSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSchedule").field("clock", &self.clock).finish_non_exhaustive()
    }
}

keep_in_rows!(PostgresSchedule, PgConnection, " FOR UPDATE");
