//! Sagas in PostgreSQL.

mod rows;
mod transaction;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use pumasi_core::event::{OutboxStore, PostgresOutbox};
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgPool, Postgres, Row, Transaction};
use tokio::sync::Notify;

use super::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    StoreTransaction, Stored, Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result};
pub use transaction::PostgresTransaction;

const MIGRATION: Migration = Migration {
    component: "sagas",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_saga_schema",
    steps: &[include_str!("sql/schema_1.sql"), include_str!("sql/schema_2.sql")],
};

/// How many commits are worth gathering into one call.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Keeps sagas in PostgreSQL 14 or newer, shared by any number of processes.
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_saga` and, for events,
///   `pumasi_outbox_`, in the first schema of the connection's `search_path`.
/// - **Batches.** The commits of a call, of however many sagas, are one statement, and so one commit of the server. As many
///   calls as there are [lanes](Self::with_lanes) run at the same time, each on a connection of its own beside the pool, which
///   sets `synchronous_commit = on`: what was answered outlives the server's crash, whatever the pool's default is.
/// - **Clock.** Leases and deadlines are the server's.
/// - **[`PostgresTransaction`]** commits a step's own rows with its record and its events: exactly once, locally.
/// - **An answer that was lost** with its connection is told by repeating the commit, which the engine does: the row keeps the
///   token of its last commit.
/// - **Not through a pooler in transaction mode**, which loses the settings of the lanes' sessions.
///
/// Clones share the pool and the lanes.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_saga::Result<()> {
/// use pumasi_saga::store::PostgresStore;
///
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    lanes: PgPool,
    count: NonZeroUsize,
    outbox: PostgresOutbox,
    poll: Duration,
    changed: Arc<Notify>,
    /// Workers that are known to have a row.
    known: Arc<Mutex<HashSet<WorkerId>>>,
    clock: Arc<dyn Clock>,
}

impl PostgresStore {
    /// Makes a store on the pool's database, with two lanes.
    ///
    /// Must be called within a tokio runtime.
    pub fn new(pool: PgPool) -> Self {
        let count = NonZeroUsize::MIN.saturating_add(1);
        let lanes = lanes(&pool, count);
        let outbox =
            PostgresOutbox::new(pool.clone()).with_polling_alone().with_poll(Duration::from_millis(200));
        Self {
            pool,
            lanes,
            count,
            outbox,
            poll: Duration::from_millis(100),
            changed: Arc::default(),
            known: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how many calls of [`commit`](SagaStore::commit) run at the same time, each on its own connection (default 2).
    #[must_use]
    pub fn with_lanes(mut self, count: NonZeroUsize) -> Self {
        self.lanes = lanes(&self.pool, count);
        self.count = count;
        self
    }

    /// Sets how often an engine looks for what other processes stored (default 100 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await?;
        self.outbox.migrate().await
    }

    /// Makes sure that those who commit have a row.
    async fn know(&self, commits: &[Commit]) -> Result<(), sqlx::Error> {
        let unknown: HashSet<WorkerId> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            commits.iter().map(|commit| commit.worker).filter(|worker| !known.contains(worker)).collect()
        };
        for worker in unknown {
            sqlx::query(
                "INSERT INTO pumasi_saga_worker (id, until) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            )
            .bind(worker.as_bytes().as_slice())
            .bind(Timestamp::MIN.as_micros())
            .execute(&self.pool)
            .await?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(worker);
        }
        Ok(())
    }

    /// Stores what is valid in one statement; answers are filled in for those that found their rows as they should be.
    async fn together(
        &self,
        commits: &[&Commit],
        answers: &mut [Option<Result<Committed>>],
    ) -> Result<(), Error> {
        let failed = |error| failed("committing sagas", error);
        let places: Vec<usize> = rows::together(commits)
            .into_iter()
            .filter(|place| answers.get(*place).is_some_and(Option::is_none))
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        let some = |place: &usize| commits.get(*place).copied();
        let has_events = places.iter().filter_map(some).any(|commit| !commit.events.is_empty());
        let stored = if has_events {
            let mut transaction = begin_postgres(&self.lanes, "BEGIN").await.map_err(failed)?;
            let stored = rows::write_together(&mut transaction, commits, &places).await.map_err(failed)?;
            let events: Vec<_> = stored
                .iter()
                .filter_map(|(place, _)| some(place))
                .flat_map(|commit| commit.events.iter().cloned())
                .collect();
            self.outbox.publish_in(&mut transaction, &events).await?;
            transaction.commit().await.map_err(failed)?;
            stored
        } else {
            let mut lane = self.lanes.acquire().await.map_err(failed)?;
            rows::write_together(&mut lane, commits, &places).await.map_err(failed)?
        };
        for (place, now) in stored {
            if let Some(answer) = answers.get_mut(place) {
                *answer = Some(Ok(Committed { now }));
            }
        }
        Ok(())
    }

    /// Looks at the row, and stores one commit or says why not.
    async fn alone(&self, commit: &Commit) -> Result<Committed> {
        let failed = |error| failed("committing a saga", error);
        let mut transaction = begin_postgres(&self.lanes, "BEGIN").await.map_err(failed)?;
        let (now, wrote) = match rows::write_one(&mut transaction, commit).await.map_err(failed)? {
            Ok(written) => written,
            Err(refused) => return Err(let_go(transaction, refused).await),
        };
        if wrote {
            self.outbox.publish_in(&mut transaction, &commit.events).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Committed { now })
    }
}

/// Ends the transaction of a commit that was refused, so that its saga's row is not locked any more when the answer is there: dropped,
/// it would end when its connection is returned, and claims would pass over the saga until then.
async fn let_go(transaction: Transaction<'static, Postgres>, refused: Error) -> Error {
    match transaction.rollback().await {
        Ok(()) => {}
        Err(error) => tracing::debug!(%error, "the transaction of a refused commit ends with its connection"),
    }
    refused
}

/// Connections of their own: the statement that stores commits must not be planned by what the tables held when it was new,
/// and a pool's default must not make it less durable.
fn lanes(pool: &PgPool, count: NonZeroUsize) -> PgPool {
    let options = PgConnectOptions::clone(&pool.connect_options()).disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(u32::try_from(count.get()).unwrap_or(u32::MAX))
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute(
                        "SET synchronous_commit = on; SET enable_seqscan = off; SET enable_hashjoin = off; \
                         SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan",
                    )
                    .await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("lanes", &self.count)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

fn signed(limit: NonZeroUsize) -> i64 {
    i64::try_from(limit.get()).unwrap_or(i64::MAX)
}

#[async_trait]
impl SagaStore for PostgresStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities { durable: true, batch: BATCH, lanes: self.count, transactions: true }
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        let row = sqlx::query(include_str!("sql/renew.sql"))
            .bind(worker.as_bytes().as_slice())
            .bind(micros(lease))
            .fetch_one(&self.pool)
            .await;
        let now =
            row.and_then(|row| row.try_get(0)).map_err(|error| failed("renewing a worker's lease", error))?;
        Ok(Timestamp::from_micros(now))
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
        sqlx::query(include_str!("sql/leave.sql"))
            .bind(worker.as_bytes().as_slice())
            .execute(&self.pool)
            .await
            .map_err(|error| failed("ending a worker's lease", error))?;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        let failed = |error| failed("claiming sagas", error);
        let (mut sagas, mut versions) = (Vec::new(), Vec::new());
        for known in known {
            for version in &known.versions {
                sagas.push(&*known.saga);
                versions.push(version.cast_signed());
            }
        }
        let rows = sqlx::query(concat!(include_str!("sql/holders.sql"), include_str!("sql/claim.sql")))
            .bind(worker.as_bytes().as_slice())
            .bind(sagas)
            .bind(versions)
            .bind(signed(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let numbers =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>().map_err(failed)?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = rows::read_numbers(&self.pool, &numbers).await.map_err(failed)?;
        Ok(numbers
            .iter()
            .filter_map(|no| found.remove(no))
            // One that has gone to another since is that one's.
            .map(|stored| Stored { holder: stored.holder.or(Some(worker)), ..stored })
            .filter(|stored| stored.holder == Some(worker))
            .collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let mut answers: Vec<Option<Result<Committed>>> =
            commits.iter().map(|commit| commit.check().err().map(Err)).collect();
        let all: Vec<&Commit> = commits.iter().collect();
        let attempt = async {
            self.know(&commits).await.map_err(|error| failed("committing sagas", error))?;
            self.together(&all, &mut answers).await
        };
        match attempt.await {
            Ok(()) => {}
            // Two calls that waited for each other: one after the other they will not.
            Err(error) if error.kind() == ErrorKind::Conflict && error.retry().is_retryable() => {}
            // One of them cannot be stored: it is told so, and the others are stored.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            Err(error) => {
                let answers = answers.into_iter();
                return answers.map(|answer| answer.unwrap_or_else(|| Err(error.clone()))).collect();
            }
        }
        let mut done = Vec::with_capacity(commits.len());
        for (commit, answer) in commits.iter().zip(answers) {
            done.push(match answer {
                Some(answer) => answer,
                // Whoever commits takes a conflict for the loss of the saga, which a deadlock is not.
                None => self.alone(commit).await.map_err(|error| {
                    if error.kind() == ErrorKind::Conflict && error.retry().is_retryable() {
                        Error::new(
                            ErrorKind::Unavailable,
                            "committing a saga collided with another transaction",
                        )
                        .with_source(error)
                    } else {
                        error
                    }
                }),
            });
        }
        if commits.iter().any(|commit| !commit.holds) {
            self.changed.notify_waiters();
        }
        done
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        let failed = |error| failed("delivering a signal", error);
        let row = sqlx::query(include_str!("sql/deliver.sql"))
            .bind(signal.saga.as_bytes().as_slice())
            .bind(&*signal.name)
            .bind(&*signal.id)
            .bind(signal.payload)
            .fetch_one(&self.lanes)
            .await
            .map_err(failed)?;
        let count = |place: usize| row.try_get::<i64, _>(place).map_err(failed);
        if count(0)? == 0 {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no saga {}", signal.saga)));
        }
        if count(1)? == 0 {
            return Ok(Delivered::Duplicate);
        }
        self.changed.notify_waiters();
        Ok(Delivered::Stored)
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        rows::read_id(&self.pool, id).await.map_err(|error| failed("loading a saga", error))
    }

    async fn load_all(&self, ids: &[SagaId]) -> Result<Vec<Option<Stored>>> {
        let found = rows::read_ids(&self.pool, ids).await.map_err(|error| failed("loading sagas", error))?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        query.check()?;
        rows::query(&self.pool, query).await.map_err(|error| failed("listing sagas", error))
    }

    async fn census(&self) -> Result<Census> {
        rows::census(&self.pool).await.map_err(|error| failed("counting sagas", error))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        let statement = concat!(include_str!("sql/holders.sql"), include_str!("sql/next_due.sql"));
        let row = sqlx::query(statement).fetch_one(&self.pool).await;
        let due: Option<i64> = row
            .and_then(|row| row.try_get(0))
            .map_err(|error| failed("looking for the next saga that is due", error))?;
        Ok(due.map(Timestamp::from_micros))
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        let row = sqlx::query(include_str!("sql/purge.sql"))
            .bind(micros(age))
            .bind(signed(limit))
            .fetch_one(&self.lanes)
            .await;
        let count: i64 = row
            .and_then(|row| row.try_get(0))
            .map_err(|error| failed("forgetting sagas that ended", error))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    async fn changed(&self) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = self.clock.sleep(self.poll) => {}
        }
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(self.outbox.clone())
    }

    async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
        let beginning = |error| failed("beginning a step's transaction", error);
        let transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(beginning)?;
        Ok(Box::new(PostgresTransaction::new(transaction, self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::conformance::Server;

    use super::*;

    #[tokio::test]
    async fn what_a_pool_that_is_less_durable_stores_is_durable() {
        let Some(url) = Server::Postgres.url("durable lanes") else { return };
        let options: PgConnectOptions = url.parse().unwrap();
        let pool = PgPoolOptions::new().connect_lazy_with(options.options([("synchronous_commit", "off")]));
        let lanes = lanes(&pool, NonZeroUsize::MIN);
        for (pool, expected) in [(&pool, "off"), (&lanes, "on")] {
            let set: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(pool).await.unwrap();
            assert_eq!(set, expected);
        }
    }
}
