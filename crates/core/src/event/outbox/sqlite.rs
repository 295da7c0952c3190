//! The outbox in SQLite.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::{
    Backlog, Claim, Claimed, OutboxStore, Outcome, Refused, Rows, SHARDS_PER_CLAIM, lost, per_shard,
};
use crate::Result;
use crate::database::{Migration, Writing, failed};
use crate::event::{Envelope, Page, Reason};
use crate::time::{Clock, SystemClock, Timestamp};

const MIGRATION: Migration = Migration {
    component: "outbox",
    begin: include_str!("sql/sqlite/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_outbox_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

/// How far the clock may go back without being taken for a jump.
const TOLERANCE: Duration = Duration::from_millis(500);

/// Writes events in your own transaction on a SQLite file, and holds them for a [`Relay`](super::Relay).
///
/// For a bus elsewhere. Where the bus is a [`SqliteBus`](crate::event::SqliteBus) on the same file, its
/// [`publish_in`](crate::event::SqliteBus::publish_in) needs no relay.
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_outbox_`.
/// - **Order.** SQLite has one writer at a time, so that the order of the events is that of the commits. A transaction that
///   begins by reading cannot always become a writing one: begin it with `BEGIN IMMEDIATE`.
/// - **Durability** is that of your connections: `synchronous = FULL` and the write-ahead log, if a loss of power must lose
///   nothing.
/// - **A full disk.** SQLite then ends a transaction by itself; sqlx's `Transaction` does not notice, and its pool hands out a
///   connection that can begin no other. The stores here close such a connection; for your own transactions, the pool's
///   `max_lifetime` bounds how long it stays.
/// - **Waking.** Relays look every [polling interval](Self::with_poll); looking takes no lock.
/// - **Clock.** Leases are measured by the machine's clock; when it jumps back, they last at most as long again as they were
///   meant to.
///
/// Clones share the pool.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::event::{Envelope, MemoryBus, OutboxStore, Relay, SqliteOutbox, State};
/// use sqlx::SqlitePool;
/// use sqlx::sqlite::SqliteConnectOptions;
///
/// let folder = tempfile::tempdir().unwrap();
/// let file = SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
/// let pool = SqlitePool::connect_with(file).await?;
/// sqlx::query("CREATE TABLE post (id INTEGER PRIMARY KEY, body TEXT)").execute(&pool).await?;
/// let outbox = SqliteOutbox::new(pool.clone());
/// outbox.migrate().await?;
///
/// let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
/// sqlx::query("INSERT INTO post VALUES (7, '첫 글')").execute(&mut *transaction).await?;
/// outbox.publish_in(&mut transaction, &[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
/// transaction.commit().await?; // the post and the event are there, or neither
///
/// let relayed = Relay::new(outbox.clone(), MemoryBus::new()).relay_pending().await?;
/// assert_eq!(relayed.relayed, 1);
/// assert_eq!(outbox.backlog().await?.pending, 0);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteOutbox {
    pool: SqlitePool,
    poll: Duration,
    clock: Arc<dyn Clock>,
}

impl SqliteOutbox {
    /// Makes an outbox on the pool's file; relays look for events every 50 milliseconds.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, poll: Duration::from_millis(50), clock: Arc::new(SystemClock) }
    }

    /// Sets how often relays look for events (default every 50 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Sets the clock by which leases, ages and the polling interval are measured (default: the machine's).
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

    /// Writes events in your transaction: they are relayed if it commits, and only then.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`], and then nothing is written; `Storage` or `Unavailable` if the
    /// file failed.
    pub async fn publish_in(&self, connection: &mut SqliteConnection, events: &[Envelope]) -> Result<()> {
        let rows = Rows::of(events)?;
        let rows: Vec<Value> =
            rows.shards().into_iter().zip(rows.bodies).map(|(shard, body)| json!([shard, body])).collect();
        sqlx::query(include_str!("sql/sqlite/publish.sql"))
            .bind(Value::Array(rows).to_string())
            .bind(self.clock.now().as_micros())
            .execute(connection)
            .await
            .map_err(|error| failed("publishing in the outbox", error))?;
        Ok(())
    }
}

impl fmt::Debug for SqliteOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutbox").field("poll", &self.poll).finish_non_exhaustive()
    }
}

#[async_trait]
impl OutboxStore for SqliteOutbox {
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
        let failed = |error| failed("claiming shards of the outbox", error);
        let mut claim = Claim { holder: fastrand::i64(1..), ..Claim::default() };
        // Without a lock, so that idle relays disturb nobody.
        let any = sqlx::query("SELECT 1 FROM pumasi_outbox_event LIMIT 1").fetch_optional(&self.pool).await;
        if any.map_err(failed)?.is_none() {
            return Ok(claim);
        }
        let mut transaction = Writing::begin(&self.pool).await.map_err(failed)?;
        let now = self.clock.now();
        let rows = sqlx::query(include_str!("sql/sqlite/claim.sql"))
            .bind(claim.holder)
            .bind(now.as_micros())
            .bind(now.saturating_add(lease).as_micros())
            .bind(SHARDS_PER_CLAIM)
            .bind(now.saturating_add(TOLERANCE).as_micros())
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        for row in rows {
            claim.shards.push(row.try_get(0).map_err(failed)?);
        }
        let rows = sqlx::query(include_str!("sql/sqlite/read.sql"))
            .bind(json!(claim.shards).to_string())
            .bind(per_shard(limit, claim.shards.len()))
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        for row in rows {
            let (shard, seq) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            claim.events.push(Claimed::new(shard, seq, row.try_get(2).map_err(failed)?));
        }
        transaction.commit().await.map_err(failed)?;
        Ok(claim)
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        let failed = |error| failed("completing a claim on the outbox", error);
        let mut transaction = Writing::begin(&self.pool).await.map_err(failed)?;
        let now = self.clock.now().as_micros();
        let given_back = sqlx::query(include_str!("sql/sqlite/give_back.sql"))
            .bind(json!(claim.shards).to_string())
            .bind(claim.holder)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if given_back.rows_affected() != claim.shards.len() as u64 {
            transaction.rollback().await.map_err(failed)?;
            return Err(lost());
        }
        let (mut seqs, mut refused) = (Vec::new(), Vec::new());
        for (place, reason) in &outcome.refused {
            if let Some(event) = claim.events.get(*place) {
                seqs.push(event.seq);
                refused.push(json!([event.seq, reason.kind, reason.message]));
            }
        }
        if !refused.is_empty() {
            sqlx::query(include_str!("sql/sqlite/refuse.sql"))
                .bind(Value::Array(refused).to_string())
                .bind(now)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        seqs.extend(
            outcome.relayed.iter().filter_map(|place| claim.events.get(*place)).map(|event| event.seq),
        );
        if !seqs.is_empty() {
            sqlx::query(include_str!("sql/sqlite/delete.sql"))
                .bind(json!(seqs).to_string())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn changed(&self) {
        self.clock.sleep(self.poll).await;
    }

    async fn backlog(&self) -> Result<Backlog> {
        let failed = |error| failed("counting the outbox", error);
        let row = sqlx::query(include_str!("sql/sqlite/backlog.sql"))
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        let count = |place: usize| {
            row.try_get::<i64, _>(place).map(|count| u64::try_from(count).unwrap_or(0)).map_err(failed)
        };
        let oldest: Option<i64> = row.try_get(1).map_err(failed)?;
        let oldest = oldest.map(|at| self.clock.now().saturating_since(Timestamp::from_micros(at)));
        Ok(Backlog::new(count(0)?, oldest, count(2)?))
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        let failed = |error| failed("listing what the outbox put aside", error);
        let rows = sqlx::query(include_str!("sql/sqlite/refused.sql"))
            .bind(i64::try_from(page.after).unwrap_or(i64::MAX))
            .bind(i64::try_from(page.limit.get()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let read = |row: &SqliteRow| {
            let position = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            let reason = Reason::new(row.try_get::<String, _>(2)?, row.try_get::<String, _>(3)?);
            Ok(Refused::new(position, row.try_get(1)?, reason, Timestamp::from_micros(row.try_get(4)?)))
        };
        rows.iter().map(read).collect::<std::result::Result<_, _>>().map_err(failed)
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        let failed = |error| failed("writing what the outbox put aside again", error);
        let mut transaction = Writing::begin(&self.pool).await.map_err(failed)?;
        let rows = sqlx::query(include_str!("sql/sqlite/write_again.sql"))
            .bind(json!(positions).to_string())
            .bind(self.clock.now().as_micros())
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rows.len())
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        let done = sqlx::query(
            "DELETE FROM pumasi_outbox_refused WHERE position IN (SELECT value FROM json_each(?1))",
        )
        .bind(json!(positions).to_string())
        .execute(&self.pool)
        .await
        .map_err(|error| failed("discarding what the outbox put aside", error))?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}
