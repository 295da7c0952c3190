//! The inbox in SQLite.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};

use super::together::{Together, Work};
use super::{Arrival, InboxHandler, Window, keep_clean};
use crate::Result;
use crate::database::{Migration, failed};
use crate::event::{Delivery, EventId, Shutdown};
use crate::time::{Clock, SystemClock, Timestamp};

const MIGRATION: Migration = Migration {
    component: "inbox",
    begin: include_str!("sql/sqlite/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_inbox_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

/// Remembers which events had their effect, in the SQLite transaction of the effect.
///
/// - **Once.** [`begin`](Self::begin) records the event's id for a group. If the transaction commits, effect and record are
///   there together, and every later delivery is [`Arrival::Again`]; if it does not, neither is.
/// - **At the same time.** SQLite has one writer at a time: a second delivery waits for the first one's transaction. Begin
///   yours with `BEGIN IMMEDIATE`, as the [handler](Self::handler) does: one that has read before it writes may be told that
///   the file is busy (`Unavailable`, may be repeated).
/// - **For how long.** Ids are kept for 14 days, and no more than 10 million of them; set it to more than the bus can take to
///   hand an event out again ([`with_retention`](Self::with_retention), [`with_max`](Self::with_max)). They go when
///   [`clean_up`](Self::clean_up) is called, or [`keep_clean`](Self::keep_clean) runs.
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_inbox_`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use pumasi_core::event::{Consumer, Delivery, Envelope, EventBus, Handler, MemoryBus, SqliteInbox, State, Subscription};
/// use sqlx::sqlite::SqliteConnectOptions;
/// use sqlx::{Row, SqlitePool};
///
/// let folder = tempfile::tempdir().unwrap();
/// let file = SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
/// let pool = SqlitePool::connect_with(file).await?;
/// sqlx::query("CREATE TABLE point (member TEXT PRIMARY KEY, sum INTEGER)").execute(&pool).await?;
///
/// let inbox = SqliteInbox::new(pool.clone());
/// inbox.migrate().await?;
/// let handler = inbox.handler("billing", |transaction, delivery| Box::pin(async move {
///     sqlx::query("INSERT INTO point VALUES (?1, 1) ON CONFLICT DO UPDATE SET sum = sum + 1")
///         .bind(&delivery.event.key)
///         .execute(transaction)
///         .await?;
///     Ok(())
/// }));
///
/// let bus = MemoryBus::new();
/// bus.publish(&[Envelope::new("posts", "member-42", State::Created, 1)]).await?;
/// let member = bus.subscribe(&Subscription::new("billing", ["posts"])).await?;
/// let delivery = member.fetch(std::num::NonZeroUsize::MIN, std::time::Duration::ZERO).await?.remove(0);
/// handler.handle(&delivery).await?;
/// handler.handle(&delivery).await?; // delivered once more: nothing happens
/// let sum: i64 = sqlx::query("SELECT sum FROM point").fetch_one(&pool).await?.try_get(0)?;
/// assert_eq!(sum, 1);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteInbox {
    pool: SqlitePool,
    window: Window,
    clock: Arc<dyn Clock>,
    together: Arc<Together>,
}

impl SqliteInbox {
    /// Makes an inbox on the pool's file that remembers 14 days, and at most 10 million events.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, window: Window::default(), clock: Arc::new(SystemClock), together: Arc::default() }
    }

    /// Sets for how long handled events are remembered (default 14 days).
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.window.retention = retention;
        self
    }

    /// Sets how many handled events are remembered at most, over all groups (default 10 million).
    #[must_use]
    pub fn with_max(mut self, events: u64) -> Self {
        self.window.max = events;
        self
    }

    /// Sets the clock by which ages are measured, and [`keep_clean`](Self::keep_clean) waits (default: the machine's).
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

    /// Records in your transaction that `group` handles the event, and tells whether it did before.
    ///
    /// # Errors
    ///
    /// `Unavailable` if another transaction was in the way: repeat your whole transaction; `Storage` if the file failed.
    pub async fn begin(
        &self,
        connection: &mut SqliteConnection,
        group: &str,
        id: EventId,
    ) -> Result<Arrival> {
        let written = sqlx::query(include_str!("sql/sqlite/begin.sql"))
            .bind(group)
            .bind(id.as_bytes().as_slice())
            .bind(self.clock.now().as_micros())
            .execute(connection)
            .await
            .map_err(|error| failed("recording an event in the inbox", error))?;
        Ok(if written.rows_affected() == 1 { Arrival::First } else { Arrival::Again })
    }

    /// Makes a handler that runs `effect` in a transaction once per event, and commits it.
    ///
    /// If the effect fails, it is rolled back, and the event can come again. Effects that wait for the file at the same time
    /// share one transaction, and so one sync of the disk; each can be rolled back by itself. While one works nobody else
    /// writes the file: whatever takes long belongs before it.
    pub fn handler<F>(&self, group: impl Into<Arc<str>>, effect: F) -> InboxHandler<Self, F>
    where
        F: for<'c> Fn(&'c mut SqliteConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync,
    {
        InboxHandler::new(self.clone(), group.into(), effect)
    }

    /// Deletes up to ten thousand records that are past the retention, or more than the most that are kept; returns how many.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the file failed.
    pub async fn clean_up(&self) -> Result<usize> {
        let retention = i64::try_from(self.window.retention.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(self.clock.now().as_micros().saturating_sub(retention));
        let done = sqlx::query(include_str!("sql/sqlite/clean_up.sql"))
            .bind(before.as_micros())
            .bind(self.window.max())
            .bind(Window::CHUNK)
            .execute(&self.pool)
            .await
            .map_err(|error| failed("cleaning up the inbox", error))?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }

    /// Cleans up every `period` until the shutdown; to be spawned beside the consumer.
    pub async fn keep_clean(self, period: Duration, shutdown: Shutdown) {
        keep_clean(|| self.clean_up(), &*self.clock, period, shutdown).await;
    }

    pub(super) async fn handle<F>(&self, group: &str, effect: &F, delivery: &Delivery) -> Result<()>
    where
        F: for<'c> Fn(&'c mut SqliteConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync,
    {
        self.together.run(&self.pool, &Work { inbox: self, group, effect, delivery }).await
    }
}

impl fmt::Debug for SqliteInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInbox").field("window", &self.window).finish_non_exhaustive()
    }
}
