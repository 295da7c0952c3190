//! The runner of a batch job.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Pool;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::chunks::Work;
use super::completion::{Announcement, BatchCompleted, CompletionSink};
use super::job::{BatchOutcome, BatchRun, ChunkJob, Parameters, Progress};
use super::store::{BatchDatabase, Change, Status};
use crate::event::{Envelope, EventBus, EventId, Reason, Shutdown, State};
use crate::resilience::{Backoff, Random, within};
use crate::schedule::database_error;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, ErrorKind, Result, Retry};

/// Runs a [`ChunkJob`] chunk by chunk; see the [module](super) for what holds.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use async_trait::async_trait;
/// use pumasi_core::Result;
/// use pumasi_core::event::Shutdown;
/// use pumasi_core::schedule::batch::{Batch, BatchOutcome, BatchRun, ChunkJob, Entry, Parameters};
/// use pumasi_core::schedule::database_error;
/// use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
/// use sqlx::{Sqlite, SqliteConnection, SqlitePool};
///
/// /// Doubles the numbers of one table into another.
/// struct Doubling(SqlitePool);
///
/// #[async_trait]
/// impl ChunkJob<Sqlite> for Doubling {
///     type Item = i64;
///     type Position = i64;
///     type Output = i64;
///
///     async fn read(&self, _: &BatchRun, after: Option<&i64>, limit: NonZeroUsize) -> Result<Vec<Entry<i64, i64>>> {
///         let numbers: Vec<i64> = sqlx::query_scalar("SELECT n FROM number WHERE n > $1 ORDER BY n LIMIT $2")
///             .bind(after.copied().unwrap_or(i64::MIN))
///             .bind(i64::try_from(limit.get()).unwrap_or(i64::MAX))
///             .fetch_all(&self.0)
///             .await
///             .map_err(|error| database_error("reading numbers", error))?;
///         Ok(numbers.into_iter().map(|n| Entry { position: n, item: n }).collect())
///     }
///
///     async fn process(&self, _: &BatchRun, n: &i64) -> Result<Option<i64>> {
///         Ok((*n != 3).then_some(n * 2))
///     }
///
///     async fn write(&self, _: &BatchRun, connection: &mut SqliteConnection, items: &[&i64]) -> Result<()> {
///         for n in items {
///             sqlx::query("INSERT INTO doubled VALUES ($1)")
///                 .bind(n)
///                 .execute(&mut *connection)
///                 .await
///                 .map_err(|error| database_error("writing numbers", error))?;
///         }
///         Ok(())
///     }
/// }
///
/// let folder = tempfile::tempdir()?;
/// let options = SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
/// let pool = SqlitePoolOptions::new().connect_with(options).await?;
/// sqlx::raw_sql("CREATE TABLE number (n INTEGER); CREATE TABLE doubled (n INTEGER); INSERT INTO number VALUES (1), (2), (3)")
///     .execute(&pool)
///     .await?;
///
/// let batch = Batch::new("doubling", pool.clone(), Doubling(pool)).with_chunk(NonZeroUsize::new(2).unwrap());
/// let month = Parameters::from([("month".to_owned(), "2026-11".to_owned())]);
/// let BatchOutcome::Completed(progress) = batch.run(&month, &Shutdown::new()).await? else { panic!() };
/// assert_eq!((progress.chunks, progress.read, progress.written, progress.filtered), (2, 3, 2, 1));
/// assert!(matches!(batch.run(&month, &Shutdown::new()).await?, BatchOutcome::AlreadyCompleted(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Batch<DB: BatchDatabase, J> {
    name: String,
    pub(super) pool: Pool<DB>,
    pub(super) job: J,
    pub(super) chunk: NonZeroUsize,
    pub(super) lease: Duration,
    max_attempts: u32,
    backoff: Backoff,
    pub(super) max_skipped: u64,
    /// For waiting; the store's own, where it has one, measures leases.
    clock: Arc<dyn Clock>,
    pub(super) store_clock: Option<Arc<dyn Clock>>,
    random: Random,
    announcement: Announcement<DB>,
    pub(super) progress: Arc<Told>,
    prepared: OnceCell<()>,
}

impl<DB: BatchDatabase, J: ChunkJob<DB>> Batch<DB, J> {
    /// Makes a batch with chunks of 100 items, a lease of 30 seconds, 5 attempts with a backoff from 100 milliseconds to 10
    /// seconds, that skips no bad item and tells nobody of its completion.
    ///
    /// Its table, `pumasi_batch_run`, is made in the pool's database, which must be the one that the job writes to.
    pub fn new(name: impl Into<String>, pool: Pool<DB>, job: J) -> Self {
        Self {
            name: name.into(),
            pool,
            job,
            chunk: NonZeroUsize::MIN.saturating_add(99),
            lease: Duration::from_secs(30),
            max_attempts: 5,
            backoff: Backoff::default(),
            max_skipped: 0,
            clock: Arc::new(SystemClock),
            store_clock: None,
            random: Random::system(),
            announcement: Announcement::Nobody,
            progress: Arc::new(|_, _| {}),
            prepared: OnceCell::new(),
        }
    }

    /// Sets how many items share a transaction (default 100).
    #[must_use]
    pub fn with_chunk(mut self, items: NonZeroUsize) -> Self {
        self.chunk = items;
        self
    }

    /// Sets after how long without a sign of life another node may take the run over (default 30 seconds); longer than a
    /// chunk's transaction takes.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// Sets how often what may be retried is tried (default 5; 0 counts as 1).
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets how long is waited between attempts (default: 100 milliseconds doubling to 10 seconds, full jitter).
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many bad items a run passes over before it fails (default none), counted over its restarts.
    #[must_use]
    pub fn with_max_skipped(mut self, items: u64) -> Self {
        self.max_skipped = items;
        self
    }

    /// Sets the clock by which it waits and measures leases, for tests (default: the machine's, and PostgreSQL's own for its
    /// leases).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.store_clock = Some(Arc::clone(&clock));
        self.clock = clock;
        self
    }

    /// Publishes the completion on `topic` within the transaction that completes the run.
    #[must_use]
    pub fn with_completion_within(
        mut self,
        topic: impl Into<String>,
        sink: impl CompletionSink<DB> + 'static,
    ) -> Self {
        self.announcement = Announcement::Within { topic: topic.into(), sink: Arc::new(sink) };
        self
    }

    /// Publishes the completion on `topic` of any bus, after the run is complete.
    ///
    /// If that fails or the process dies before, [`run`](Self::run) with the same parameters publishes it: the caller (a
    /// [`Scheduler`](crate::schedule::Scheduler) does it) runs it again until it returns `Ok`.
    #[must_use]
    pub fn with_completion_after(mut self, topic: impl Into<String>, bus: impl EventBus + 'static) -> Self {
        self.announcement = Announcement::After { topic: topic.into(), bus: Arc::new(bus) };
        self
    }

    /// Sets what is called after each chunk.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(&BatchRun, &Progress) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Runs the batch with these parameters to its end, from where it was left off; on `stop` it ends behind the chunk at
    /// work.
    ///
    /// Dropping the future leaves the run as a killed process does: resumable when its lease has ended.
    ///
    /// # Errors
    ///
    /// `Conflict` with the time to wait if another node works on the run, and `Conflict` without one if one took it over;
    /// `Unavailable` if the database did not answer for the length of the lease, while nothing was written; otherwise what ended the run: an error of the job that was not to be skipped, or of the database. Running it again
    /// resumes it.
    pub async fn run(&self, parameters: &Parameters, stop: &Shutdown) -> Result<BatchOutcome> {
        self.prepared.get_or_try_init(|| DB::prepare(&self.pool)).await?;
        let mut run = BatchRun::new(&self.name, parameters);
        let begun = match self.begin(&mut run).await? {
            Begun::Complete { progress, announced } => {
                if !announced {
                    self.announce_after(&run, &progress).await?;
                }
                return Ok(BatchOutcome::AlreadyCompleted(progress));
            }
            Begun::Taken { progress, position } => (progress, position),
        };
        // Dropped, and so ended, together with the work.
        let mut heartbeat = JoinSet::new();
        heartbeat.spawn(renew(
            self.pool.clone(),
            run.clone(),
            self.lease,
            Arc::clone(&self.clock),
            self.store_clock.clone(),
        ));
        let mut work = Work { batch: self, run: &run, progress: begun.0 };
        let ended = tokio::select! {
            biased;
            Some(lost) = heartbeat.join_next() => {
                let panicked = |_| Error::new(ErrorKind::Other, "the renewal of a batch run's lease ended by itself");
                Err(lost.unwrap_or_else(panicked))
            }
            ended = work.chunks(begun.1, stop) => ended,
        };
        drop(heartbeat);
        let progress = work.progress;
        match ended {
            // The lease has ended with the run: it bounds no publishing.
            Ok(outcome @ BatchOutcome::Completed(_)) => {
                self.announce_after(&run, &progress).await?;
                Ok(outcome)
            }
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.give_up(&run, &progress, &error).await;
                Err(error)
            }
        }
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> Error {
        database_error(&format!("keeping the position of the batch \"{}\"", self.name), error)
    }

    /// Takes the run, unless it is complete or another node works on it.
    async fn begin(&self, run: &mut BatchRun) -> Result<Begun<J::Position>> {
        let failed = |error| self.failed(error);
        let mut transaction = DB::start(&self.pool).await.map_err(failed)?;
        let now = DB::moment(&mut transaction, self.store_clock.as_ref()).await.map_err(failed)?;
        DB::insert(&mut transaction, run, now).await.map_err(failed)?;
        let stored = DB::load(&mut transaction, run).await.map_err(failed)?;
        let mut progress = stored.progress;
        let refused = match stored.status {
            Status::Completed => {
                Some(Ok(Begun::Complete { progress: progress.clone(), announced: stored.announced }))
            }
            Status::Running if stored.lease_until > now => {
                let left = stored.lease_until.saturating_since(now);
                let message = format!("another node works on this run of the batch \"{}\"", self.name);
                Some(Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::After(left))))
            }
            Status::Running | Status::Stopped | Status::Failed => None,
        };
        if let Some(refused) = refused {
            DB::rollback(transaction).await.map_err(failed)?;
            return refused;
        }
        let position = match stored.position.as_deref().map(serde_json::from_str) {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(_)) => {
                let message = format!("the stored position of the batch \"{}\" has another type", self.name);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        run.fence = u64::try_from(stored.fence).unwrap_or(0) + 1;
        progress.starts += 1;
        let until = now.saturating_add(self.lease);
        DB::take(&mut transaction, run, &progress, until).await.map_err(failed)?;
        DB::commit(transaction).await.map_err(failed)?;
        Ok(Begun::Taken { progress, position })
    }

    /// Writes down why the run ended early. If that fails too, its lease ends by itself.
    async fn give_up(&self, run: &BatchRun, progress: &Progress, error: &Error) {
        let reason = Reason::from(error);
        let kept = self.end(run, progress, Status::Failed, Some(&reason)).await;
        if let Err(second) = kept {
            tracing::debug!(error = %second, "the end of a batch run could not be kept");
        }
        tracing::error!(job = %run.job, run = %run.id, error = %error, read = progress.read, "a batch run failed");
    }

    /// Ends the run in one transaction, with its completion where that goes within.
    pub(super) async fn end(
        &self,
        run: &BatchRun,
        progress: &Progress,
        status: Status,
        reason: Option<&Reason>,
    ) -> Result<()> {
        let failed = |error| self.failed(error);
        let mut transaction = DB::start(&self.pool).await.map_err(failed)?;
        let now = DB::moment(&mut transaction, self.store_clock.as_ref()).await.map_err(failed)?;
        let complete = status == Status::Completed;
        let change = Change {
            run,
            status,
            position: None,
            progress,
            after_chunks: progress.chunks,
            lease_until: now,
            ended: Some(now),
            reason,
            announced: complete && !matches!(self.announcement, Announcement::After { .. }),
        };
        if !DB::save(&mut transaction, &change).await.map_err(failed)? {
            return Err(taken_over(run));
        }
        if let (true, Announcement::Within { sink, topic }) = (complete, &self.announcement) {
            sink.publish_in(&mut transaction, &completed(run, progress, topic, now)?).await?;
        }
        DB::commit(transaction).await.map_err(failed)
    }

    pub(super) async fn announce_after(&self, run: &BatchRun, progress: &Progress) -> Result<()> {
        let Announcement::After { bus, topic } = &self.announcement else { return Ok(()) };
        bus.publish(&[completed(run, progress, topic, self.clock.now())?]).await?;
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        // Published again if this is lost: under the same id.
        DB::announced(&mut connection, run).await.map_err(|error| self.failed(error))
    }

    /// Tries until it succeeds, may not be retried or was tried often enough.
    pub(super) async fn retry<T, W>(&self, progress: &mut Progress, mut work: impl FnMut() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let mut attempt = 1;
        loop {
            let error = match work().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let asked = match error.retry() {
                Retry::Never => return Err(error),
                _ if attempt >= self.max_attempts => return Err(error),
                Retry::Now => Duration::ZERO,
                Retry::After(after) => after,
            };
            progress.retried += 1;
            self.clock.sleep(self.backoff.delay(attempt, &self.random).max(asked)).await;
            attempt += 1;
        }
    }
}

impl<DB: BatchDatabase, J> fmt::Debug for Batch<DB, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("name", &self.name)
            .field("chunk", &self.chunk)
            .field("lease", &self.lease)
            .field("topic", &self.announcement.topic())
            .finish_non_exhaustive()
    }
}

/// Who is told of each chunk.
pub(super) type Told = dyn Fn(&BatchRun, &Progress) + Send + Sync;

enum Begun<P> {
    Complete { progress: Progress, announced: bool },
    Taken { progress: Progress, position: Option<P> },
}

pub(super) fn taken_over(run: &BatchRun) -> Error {
    let message = format!("another node has taken the run {} of the batch \"{}\" over", run.id, run.job);
    Error::new(ErrorKind::Conflict, message)
}

fn completed(run: &BatchRun, progress: &Progress, topic: &str, at: Timestamp) -> Result<Envelope> {
    Envelope::new(topic, &run.job, State::Created, 0)
        .with_id(EventId::derived(run.id, "completed"))
        .with_occurred_at(at)
        .with_payload(&BatchCompleted {
            job: run.job.clone(),
            run: run.id,
            parameters: run.parameters.clone(),
            progress: progress.clone(),
        })
}

/// Renews the lease until the run is lost, and returns why: another node has it, or the database did not answer for as long as
/// the lease lasts.
async fn renew<DB: BatchDatabase>(
    pool: Pool<DB>,
    run: BatchRun,
    lease: Duration,
    clock: Arc<dyn Clock>,
    store_clock: Option<Arc<dyn Clock>>,
) -> Error {
    let mut renewed = clock.instant();
    loop {
        clock.sleep(lease / 3).await;
        let asked = clock.instant();
        let held = async {
            let mut connection = pool.acquire().await?;
            let now = DB::moment(&mut connection, store_clock.as_ref()).await?;
            DB::renew(&mut connection, &run, now.saturating_add(lease)).await
        };
        let left = lease.saturating_sub(asked.saturating_duration_since(renewed));
        match within(&*clock, left, held).await {
            Some(Ok(true)) => renewed = asked,
            Some(Ok(false)) => return taken_over(&run),
            Some(Err(error)) => {
                tracing::debug!(error = %database_error("renewing a batch run", error), "a lease could not be renewed");
            }
            None => {}
        }
        if clock.instant().saturating_duration_since(renewed) >= lease {
            let message =
                format!("the lease of the run {} of the batch \"{}\" could not be renewed", run.id, run.job);
            return Error::new(ErrorKind::Unavailable, message);
        }
    }
}
