//! Schedules in a SQLite file, shared by the processes of one machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};

use super::ledger::{Ledger, check_name, not_found};
use super::rows::{self, keep_in_rows};
use super::{Claim, ClaimTerms, JobState, Plan, RunEnd, ScheduleStore};
use crate::Result;
use crate::database::Writing;
use crate::schedule::database::signed;
use crate::schedule::{RunRecord, database_error};
use crate::time::{Clock, SystemClock, Timestamp};

/// Keeps schedules in a SQLite file, beside your own tables; its tables begin with `pumasi_schedule_`.
///
/// Durable as far as the pool's settings are (`journal_mode = WAL` and `synchronous = FULL` outlive a loss of power). Leases
/// are measured by the machine's clock: when it jumps ahead they end early, which the fence keeps harmless; when it jumps
/// back they last longer by as much.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_core::schedule::{ScheduleStore, SqliteSchedule};
/// use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
///
/// let folder = tempfile::tempdir()?;
/// let options = SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
/// let store = SqliteSchedule::new(SqlitePoolOptions::new().connect_with(options).await?).await?;
/// store.register("weekly-ranking").await?;
/// assert!(!store.state("weekly-ranking").await?.paused);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteSchedule {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteSchedule {
    /// Keeps schedules in the pool's database, and makes the tables, or brings them up to date.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage` or `Unavailable` if the database failed.
    pub async fn new(pool: SqlitePool) -> Result<Self> {
        rows::MIGRATION.on_sqlite(&pool).await?;
        Ok(Self { pool, clock: Arc::new(SystemClock) })
    }

    /// Sets the clock by which it measures (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn begin(&self) -> sqlx::Result<Writing> {
        Writing::begin(&self.pool).await
    }

    #[expect(clippy::unused_async, reason = "other stores ask their server")]
    async fn moment(&self, _: &mut SqliteConnection) -> sqlx::Result<Timestamp> {
        Ok(self.clock.now())
    }
}

impl fmt::Debug for SqliteSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSchedule").field("clock", &self.clock).finish_non_exhaustive()
    }
}

keep_in_rows!(SqliteSchedule, SqliteConnection, "");
