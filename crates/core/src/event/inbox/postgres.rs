//! The inbox in PostgreSQL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};

use super::{Arrival, InboxHandler, Window, keep_clean};
use crate::Result;
use crate::database::{Migration, begin_postgres, failed};
use crate::event::consumer::passing;
use crate::event::{Delivery, EventId, Shutdown};
use crate::time::{Clock, SystemClock};

const MIGRATION: Migration = Migration {
    component: "inbox",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_inbox_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Remembers which events had their effect, in the PostgreSQL transaction of the effect.
///
/// - **Once.** [`begin`](Self::begin) records the event's id for a group. If the transaction commits, effect and record are
///   there together, and every later delivery is [`Arrival::Again`]; if it does not, neither is.
/// - **At the same time.** A second delivery of an event that another transaction is just handling waits for its end: then
///   it is `Again`, or `First` if the other one was rolled back. (Under `REPEATABLE READ` and `SERIALIZABLE` the server ends
///   the waiting one instead: a `Conflict` that may be repeated.)
/// - **For how long.** Ids are kept for 14 days, and no more than 10 million of them; set it to more than the bus can take to
///   hand an event out again ([`with_retention`](Self::with_retention), [`with_max`](Self::with_max)). They go when
///   [`clean_up`](Self::clean_up) is called, or [`keep_clean`](Self::keep_clean) runs.
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_inbox_`.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool, bus: pumasi_core::event::SqliteBus) -> pumasi_core::Result<()> {
/// use pumasi_core::event::{Consumer, PostgresInbox, Shutdown, Subscription};
///
/// let inbox = PostgresInbox::new(pool);
/// inbox.migrate().await?;
/// let handler = inbox.handler("billing", |transaction, delivery| Box::pin(async move {
///     sqlx::query("UPDATE account SET points = points + 1 WHERE member = $1")
///         .bind(&delivery.event.key)
///         .execute(transaction)
///         .await?;
///     Ok(())
/// }));
/// Consumer::new(bus, Subscription::new("billing", ["posts"]), handler).run(Shutdown::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresInbox {
    pool: PgPool,
    window: Window,
    clock: Arc<dyn Clock>,
}

impl PostgresInbox {
    /// Makes an inbox on the pool's database that remembers 14 days, and at most 10 million events.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, window: Window::default(), clock: Arc::new(SystemClock) }
    }

    /// Sets for how long handled events are remembered, by the server's clock (default 14 days).
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

    /// Sets the clock by which [`keep_clean`](Self::keep_clean) waits (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
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

    /// Records in your transaction that `group` handles the event, and tells whether it did before.
    ///
    /// # Errors
    ///
    /// `Conflict` that may be repeated, with the whole transaction, if it collided with another one; `Storage` or
    /// `Unavailable` if the database failed.
    pub async fn begin(&self, connection: &mut PgConnection, group: &str, id: EventId) -> Result<Arrival> {
        let written = sqlx::query(include_str!("sql/postgres/begin.sql"))
            .bind(group)
            .bind(id.to_string())
            .execute(connection)
            .await
            .map_err(|error| failed("recording an event in the inbox", error))?;
        Ok(if written.rows_affected() == 1 { Arrival::First } else { Arrival::Again })
    }

    /// Makes a handler that runs `effect` in a transaction once per event, and commits it.
    ///
    /// If the effect fails, the transaction is rolled back, and the event can come again. A commit of which nobody knows
    /// whether it succeeded is an error that may be repeated: the next delivery finds out.
    pub fn handler<F>(&self, group: impl Into<Arc<str>>, effect: F) -> InboxHandler<Self, F>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync,
    {
        InboxHandler::new(self.clone(), group.into(), effect)
    }

    /// Deletes up to ten thousand records that are past the retention, or more than the most that are kept; returns how many.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the database failed.
    pub async fn clean_up(&self) -> Result<usize> {
        let done = sqlx::query(include_str!("sql/postgres/clean_up.sql"))
            .bind(self.window.retention.as_secs_f64())
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
        F: for<'c> Fn(&'c mut PgConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync,
    {
        let failed = |error| passing(failed("handling an event in a transaction", error));
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let arrival = self.begin(&mut transaction, group, delivery.event.id).await.map_err(passing)?;
        if arrival == Arrival::First {
            effect(&mut transaction, delivery).await?;
            transaction.commit().await.map_err(failed)?;
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInbox").field("window", &self.window).finish_non_exhaustive()
    }
}
