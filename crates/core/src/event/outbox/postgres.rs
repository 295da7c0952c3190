//! The outbox in PostgreSQL.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions, PgRow};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::Mutex;

use super::{
    Backlog, Claim, Claimed, OutboxStore, Outcome, Refused, Rows, SHARDS_PER_CLAIM, lost, per_shard,
};
use crate::Result;
use crate::database::{Migration, begin_postgres, failed};
use crate::event::{Envelope, Page, Reason};
use crate::time::{Clock, SystemClock, Timestamp};

const MIGRATION: Migration = Migration {
    component: "outbox",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_outbox_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// The channel on which publishers wake relays.
const CHANNEL: &str = "pumasi_outbox";

/// How long a relay that cannot listen goes by its polling interval alone, however short that is.
const RECONNECT: Duration = Duration::from_secs(1);

/// Writes events in your own PostgreSQL transaction, and holds them for a [`Relay`](super::Relay).
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_outbox_`, in the first schema of the
///   connection's `search_path`.
/// - **Order.** Numbers from a sequence are drawn before the commit, so that a later number can become visible first. Two
///   things keep order and completeness nevertheless: [`publish_in`](Self::publish_in) holds an advisory lock for the
///   event's key until your transaction has ended, so that commits of one key have the order of their numbers; and a relay
///   deletes exactly what it has relayed, and never takes "everything up to a number".
/// - **What the lock costs.** Two transactions that publish for the same key wait for each other, as they do when they
///   change the same row; of different keys, two in about a thousand share a lock. Publish as the last statement before the
///   commit, so that it is held for a short time, and all events of a transaction in one call: keys that two transactions
///   lock in different orders can deadlock, and then the server ends one of them (`Conflict`, may be repeated).
/// - **Waking.** Publishers wake relays by `NOTIFY`, which is sent with the commit. All notifying commits of a database
///   queue for one lock of the server; where thousands of transactions a second publish, turn it
///   [off](Self::with_polling_alone), and relays look every [polling interval](Self::with_poll). Relays also look that often
///   where notifications do not arrive: through a pooler in transaction mode, or while the listening connection is cut.
/// - **Versions.** PostgreSQL 12 and newer.
///
/// Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool, bus: pumasi_core::event::SqliteBus) -> pumasi_core::Result<()> {
/// use pumasi_core::event::{Envelope, PostgresOutbox, Relay, Shutdown, State};
///
/// let outbox = PostgresOutbox::new(pool.clone());
/// outbox.migrate().await?;
///
/// let mut transaction = pool.begin().await?;
/// sqlx::query("UPDATE post SET body = $1 WHERE id = 7").bind("…").execute(&mut *transaction).await?;
/// let event = Envelope::new("posts", "post-7", State::Updated, 3).in_context();
/// outbox.publish_in(&mut transaction, &[event]).await?;
/// transaction.commit().await?; // the post and the event are there, or neither
///
/// Relay::new(outbox, bus).run(Shutdown::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresOutbox {
    pool: PgPool,
    poll: Duration,
    notifies: bool,
    clock: Arc<dyn Clock>,
    listener: Arc<Mutex<Listener>>,
}

/// The connection that listens, made when somebody first waits.
#[derive(Default)]
struct Listener {
    connection: Option<PgListener>,
    /// When making it was begun and has not succeeded since.
    failed: Option<Instant>,
}

impl PostgresOutbox {
    /// Makes an outbox on the pool's database; relays look for events every second, and are woken by publishers.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            poll: Duration::from_secs(1),
            notifies: true,
            clock: Arc::new(SystemClock),
            listener: Arc::default(),
        }
    }

    /// Sets how often relays look for events that nobody woke them for (default every second).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Neither notifies nor listens: relays look every [polling interval](Self::with_poll), and need no connection for
    /// listening.
    #[must_use]
    pub fn with_polling_alone(mut self) -> Self {
        self.notifies = false;
        self
    }

    /// Sets the clock by which the polling interval is measured (default: the machine's); leases are measured by the
    /// server's.
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

    /// Writes events in your transaction: they are relayed if it commits, and only then.
    ///
    /// Without a transaction around it, each of its statements commits by itself, and order is not kept.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`], and then nothing is written; `Conflict` that may be repeated,
    /// with your whole transaction, if the server ended a deadlock; `Storage` or `Unavailable` if the database failed.
    pub async fn publish_in(&self, connection: &mut PgConnection, events: &[Envelope]) -> Result<()> {
        let rows = Rows::of(events)?;
        if events.is_empty() {
            return Ok(());
        }
        let mut slots: Vec<i32> = rows.slots.iter().map(|slot| slot.number()).collect();
        slots.sort_unstable();
        slots.dedup();
        let failed = |error| failed("publishing in the outbox", error);
        // Before the numbers are drawn, and so a statement of its own.
        sqlx::query(include_str!("sql/postgres/lock.sql"))
            .bind(slots)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        sqlx::query(include_str!("sql/postgres/publish.sql"))
            .bind(rows.shards())
            .bind(rows.bodies)
            .bind(self.notifies)
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Waits for a notification; returns at once after connecting, because what came before then was not heard. Waits for
    /// ever where connecting has failed just now.
    async fn listen(&self) -> std::result::Result<(), sqlx::Error> {
        let mut listener = self.listener.lock().await;
        let Some(connected) = listener.connection.as_mut() else {
            let now = self.clock.instant();
            if listener.failed.is_some_and(|at| now.saturating_duration_since(at) < RECONNECT) {
                drop(listener);
                return std::future::pending().await;
            }
            listener.failed = Some(now);
            // A pool of its own: a connection of the user's that never comes back would be missed there.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .connect_lazy_with(self.pool.connect_options().as_ref().clone());
            let mut connecting = PgListener::connect_with(&pool).await?;
            connecting.listen(CHANNEL).await?;
            *listener = Listener { connection: Some(connecting), failed: None };
            return Ok(());
        };
        match connected.try_recv().await {
            Ok(_) => {
                while connected.next_buffered().is_some() {}
                Ok(())
            }
            Err(error) => {
                listener.connection = None;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutbox")
            .field("poll", &self.poll)
            .field("notifies", &self.notifies)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl OutboxStore for PostgresOutbox {
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
        let failed = |error| failed("claiming shards of the outbox", error);
        let mut claim = Claim { holder: fastrand::i64(1..), ..Claim::default() };
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let rows = sqlx::query(include_str!("sql/postgres/claim.sql"))
            .bind(claim.holder)
            .bind(lease.as_secs_f64())
            .bind(SHARDS_PER_CLAIM)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        if rows.is_empty() {
            return Ok(claim);
        }
        for row in rows {
            claim.shards.push(row.try_get(0).map_err(failed)?);
        }
        let rows = sqlx::query(include_str!("sql/postgres/read.sql"))
            .bind(&claim.shards)
            .bind(per_shard(limit, claim.shards.len()))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        for row in rows {
            let (shard, seq) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            claim.events.push(Claimed::new(shard, seq, row.try_get(2).map_err(failed)?));
        }
        Ok(claim)
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        let failed = |error| failed("completing a claim on the outbox", error);
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let given_back = sqlx::query(include_str!("sql/postgres/give_back.sql"))
            .bind(&claim.shards)
            .bind(claim.holder)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if given_back.rows_affected() != claim.shards.len() as u64 {
            transaction.rollback().await.map_err(failed)?;
            return Err(lost());
        }
        let (mut shards, mut seqs) = (Vec::new(), Vec::new());
        let (mut kinds, mut messages) = (Vec::new(), Vec::new());
        for (place, reason) in &outcome.refused {
            if let Some(refused) = claim.events.get(*place) {
                shards.push(refused.shard);
                seqs.push(refused.seq);
                kinds.push(reason.kind.as_str());
                messages.push(reason.message.as_str());
            }
        }
        if !seqs.is_empty() {
            sqlx::query(include_str!("sql/postgres/refuse.sql"))
                .bind(&shards)
                .bind(&seqs)
                .bind(kinds)
                .bind(messages)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        for relayed in outcome.relayed.iter().filter_map(|place| claim.events.get(*place)) {
            shards.push(relayed.shard);
            seqs.push(relayed.seq);
        }
        if !seqs.is_empty() {
            sqlx::query(include_str!("sql/postgres/delete.sql"))
                .bind(shards)
                .bind(seqs)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn changed(&self) {
        let poll = self.clock.sleep(self.poll);
        if !self.notifies {
            return poll.await;
        }
        let listen = async {
            if let Err(error) = self.listen().await {
                let error = failed("listening for events of the outbox", error);
                tracing::debug!(error = %error, "relays look every polling interval for now");
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = listen => {}
            () = poll => {}
        }
    }

    async fn backlog(&self) -> Result<Backlog> {
        let failed = |error| failed("counting the outbox", error);
        let row = sqlx::query(include_str!("sql/postgres/backlog.sql"))
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        let count = |place: usize| {
            row.try_get::<i64, _>(place).map(|count| u64::try_from(count).unwrap_or(0)).map_err(failed)
        };
        let oldest: Option<f64> = row.try_get(1).map_err(failed)?;
        let oldest =
            oldest.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
        Ok(Backlog::new(count(0)?, oldest, count(2)?))
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        let failed = |error| failed("listing what the outbox put aside", error);
        let rows = sqlx::query(include_str!("sql/postgres/refused.sql"))
            .bind(i64::try_from(page.after).unwrap_or(i64::MAX))
            .bind(i64::try_from(page.limit.get()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let read = |row: &PgRow| {
            let position = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            let reason = Reason::new(row.try_get::<String, _>(2)?, row.try_get::<String, _>(3)?);
            Ok(Refused::new(position, row.try_get(1)?, reason, Timestamp::from_micros(row.try_get(4)?)))
        };
        rows.iter().map(read).collect::<std::result::Result<_, _>>().map_err(failed)
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        let failed = |error| failed("writing what the outbox put aside again", error);
        let row = sqlx::query(include_str!("sql/postgres/write_again.sql"))
            .bind(signed(positions))
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        Ok(usize::try_from(row.try_get::<i64, _>(0).map_err(failed)?).unwrap_or(0))
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        let done = sqlx::query("DELETE FROM pumasi_outbox_refused WHERE position = ANY($1::bigint[])")
            .bind(signed(positions))
            .execute(&self.pool)
            .await
            .map_err(|error| failed("discarding what the outbox put aside", error))?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}

fn signed(positions: &[u64]) -> Vec<i64> {
    positions.iter().filter_map(|position| i64::try_from(*position).ok()).collect()
}
