//! Sagas in one SQLite file: durable, embedded, shared by the processes of a machine.

mod company;
mod image;
mod request;
mod rows;
mod shapes;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::database::{Migration, failed, open_sqlite};
use pumasi_core::event::{OutboxStore, SqliteOutbox};
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, SqlitePool};
use tokio::sync::{Notify, mpsc, oneshot};

use self::request::Request;
use self::writer::Writer;
use super::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    Stored, Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result, Retry};

const MIGRATION: Migration = Migration {
    component: "sagas",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_saga_schema",
    steps: &[include_str!("sql/schema_1.sql"), include_str!("sql/schema_2.sql")],
};

/// Keeps sagas in a SQLite file.
///
/// - **Durable.** Write-ahead log with `synchronous = FULL`, which is read back when the file is opened: what was committed or
///   delivered has been synced to the disk, and outlives `SIGKILL` and loss of power. (`NORMAL`, which many libraries set
///   with the log, syncs only when the log is written back; a loss of power takes what was committed since.)
/// - **Group commit.** What is asked at the same time, of however many sagas, shares one transaction and one sync. Sagas that were
///   answered together are waited for, half as long as a transaction takes at most and only while some keep coming, so that they
///   do not come to take turns. A transaction appends one entry with all of its changes to a journal in the file; the rows that they make are written into tables every
///   32,768 changes, or when somebody lists or counts sagas. Rows as such cost ten times as much to write.
/// - **Threads.** The writer has a thread of its own, and a second one wakes those who asked: as tasks they would wait, with the file
///   locked, for their turn behind the sagas that are ready to go on.
/// - **Shared.** Several processes of one machine may open the file (not over a network file system); an engine sees what
///   another process stored within the [polling interval](SqliteStoreOptions::with_poll).
/// - **Clock.** Leases and deadlines are measured by the machine's clock. When it jumps ahead, leases end early, and epochs
///   keep that harmless; when it jumps back, they last longer by as much.
/// - **Damage.** SQLite checks what is in its log, and drops a torn end; it does not check pages of the file itself. So every
///   entry of the journal and every row carries a checksum: a damaged row is reported to who asks for it, listed as parked, and
///   in nobody's way; a damaged journal is reported to everybody. A saga that a damaged index does not find is missed by
///   [`verify`](Self::verify) alone, which reads the whole file.
/// - **Beside your own tables.** The tables begin with `pumasi_saga` and, for events, `pumasi_outbox_`.
///
/// Clones share the connections. Dropping the last one closes the file.
///
/// SQLite was chosen among SQLite, redb and fjall. With 64 and 1,024 records of 256 bytes in each synced commit none of them
/// was the fastest throughout; SQLite is the one that two processes were seen to share, and that users know how to look into.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_saga::store::{Query, SagaStore, SqliteStore};
///
/// let folder = tempfile::tempdir().unwrap();
/// let store = SqliteStore::open(folder.path().join("sagas.db")).await?;
/// assert!(store.query(&Query::new()).await?.is_empty());
/// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::UnboundedSender<Request>,
    /// For questions that must not wait behind the writer's transactions, and for the outbox.
    readers: SqlitePool,
    outbox: SqliteOutbox,
    changed: Arc<Notify>,
    transactions: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    poll: Duration,
}

/// How a [`SqliteStore`] is opened.
#[derive(Clone, Debug)]
pub struct SqliteStoreOptions {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    busy: Duration,
    poll: Duration,
}

impl SqliteStoreOptions {
    /// Makes the options for the file at `path`, which is created if it is missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            busy: Duration::from_secs(10),
            poll: Duration::from_millis(50),
        }
    }

    /// Sets the store's clock (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long to wait for another process's transaction, also while opening (default 10 seconds).
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy = timeout;
        self
    }

    /// Sets how often an engine looks for what other processes stored (default 50 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Opens the file, and makes its tables if they are missing.
    ///
    /// Must be called within a tokio runtime, which must outlive the store.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be opened, is damaged or is no SQLite database; `Unavailable` if another process
    /// holds it for too long; `Unsupported` if a newer version of this crate has changed its layout, or if it cannot be
    /// opened so that commits are synced.
    pub async fn open(self) -> Result<SqliteStore> {
        let begun = Instant::now();
        let (connection, readers, outbox) = loop {
            match self.connections().await {
                // Switching a new file to the write-ahead log does not wait for whoever makes its tables meanwhile.
                Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < self.busy => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(5..25))).await;
                }
                opened => break opened?,
            }
        };
        let (requests, incoming) = mpsc::unbounded_channel();
        let changed = Arc::new(Notify::new());
        let transactions = Arc::default();
        let (replies, answered) = std::sync::mpsc::channel();
        let writer = Writer::new(
            connection,
            outbox.clone(),
            Arc::clone(&self.clock),
            replies,
            Arc::clone(&transactions),
        );
        let (runtime, woken) = (tokio::runtime::Handle::current(), Arc::clone(&changed));
        start("pumasi-saga-file", move || runtime.block_on(writer.run(incoming)))?;
        start("pumasi-saga-told", move || writer::reply(&answered, &woken))?;
        Ok(SqliteStore {
            shared: Arc::new(Shared {
                requests,
                readers,
                outbox,
                changed,
                transactions,
                clock: self.clock,
                path: self.path,
                poll: self.poll,
            }),
        })
    }

    async fn connections(&self) -> Result<(SqliteConnection, SqlitePool, SqliteOutbox)> {
        let failed = |error| failed("opening the store of sagas", error);
        let readers = SqlitePoolOptions::new().max_connections(4).max_lifetime(None);
        let readers = open_sqlite(readers, self.connect()).await.map_err(failed)?;
        let mut connection = self.connect().connect().await.map_err(failed)?;
        check_power_safety(&mut connection).await?;
        MIGRATION.on_sqlite(&readers).await?;
        rows::complete(&mut connection).await.map_err(failed)?;
        let outbox =
            SqliteOutbox::new(readers.clone()).with_poll(self.poll).with_clock(Arc::clone(&self.clock));
        outbox.migrate().await?;
        Ok((connection, readers, outbox))
    }

    fn connect(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .page_size(4096)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(self.busy)
            // Pages that change again before they are written back are written back once.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("cache_size", "-16384")
            .disable_statement_logging()
    }
}

/// Starts a thread: a task would wait for its turn behind whatever else is ready, with the lock of the file in its hands.
fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| {
        Error::new(ErrorKind::Storage, "starting the writer of the store of sagas").with_source(error)
    })
}

/// Reads back what was set: a level that SQLite does not know is ignored by it, without a word.
async fn check_power_safety(connection: &mut SqliteConnection) -> Result<()> {
    let failed = |error| failed("opening the store of sagas", error);
    let level = sqlx::query("PRAGMA synchronous").fetch_one(&mut *connection).await;
    let level: i64 = level.and_then(|row| row.try_get(0)).map_err(failed)?;
    let mode = sqlx::query("PRAGMA journal_mode").fetch_one(connection).await;
    let mode: String = mode.and_then(|row| row.try_get(0)).map_err(failed)?;
    if level < 2 || mode != "wal" {
        let message =
            format!("the store of sagas would not be power-safe: synchronous {level}, journal {mode}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}

impl SqliteStore {
    /// Opens the file at `path` with the default [options](SqliteStoreOptions).
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        SqliteStoreOptions::new(path.as_ref()).open().await
    }

    /// Reads the whole file and checks its structure; takes as long as reading it.
    ///
    /// # Errors
    ///
    /// `Storage` if the file is damaged, with the first finding in its source.
    pub async fn verify(&self) -> Result<()> {
        let row = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&self.shared.readers).await;
        let found: String = row
            .and_then(|row| row.try_get(0))
            .map_err(|error| failed("verifying the store of sagas", error))?;
        if found == "ok" {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Storage, "the store of sagas is damaged").with_source(found))
    }

    /// Counts the transactions that this process has written: as many syncs of the log, and two more whenever it is written back.
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let gone = || {
            Error::new(ErrorKind::Unavailable, "the writer of the store of sagas has ended")
                .with_retry(Retry::Never)
        };
        let (reply, answer) = oneshot::channel();
        self.shared.requests.send(request(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl SagaStore for SqliteStore {
    fn capabilities(&self) -> StoreCapabilities {
        // The writer gathers by itself.
        StoreCapabilities { durable: true, ..StoreCapabilities::none() }
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        self.ask(|reply| Request::Renew { worker, lease, reply }).await
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.ask(|reply| Request::Leave { worker, reply }).await
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        let (known, limit) = (known.to_vec(), limit.get());
        self.ask(|reply| Request::Claim { worker, known, limit, reply }).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let count = commits.len();
        match self.ask(|reply| Request::Commit { commits, reply }).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        self.ask(|reply| Request::Deliver { signal, reply }).await
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        self.ask(|reply| Request::Load { id, reply }).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        query.check()?;
        let failed = |error| failed("listing sagas", error);
        self.ask(|reply| Request::Settle { reply }).await?;
        let mut reader = self.shared.readers.acquire().await.map_err(failed)?;
        rows::query(&mut reader, query, self.now()).await.map_err(failed)
    }

    async fn census(&self) -> Result<Census> {
        let failed = |error| failed("counting sagas", error);
        self.ask(|reply| Request::Settle { reply }).await?;
        let mut transaction = self.shared.readers.begin().await.map_err(failed)?;
        rows::census(&mut transaction, self.now()).await.map_err(failed)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.ask(|reply| Request::NextDue { reply }).await
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        self.ask(|reply| Request::Purge { age, limit: limit.get(), reply }).await
    }

    async fn changed(&self) {
        tokio::select! {
            () = self.shared.changed.notified() => {}
            () = self.shared.clock.sleep(self.shared.poll) => {}
        }
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(self.shared.outbox.clone())
    }
}
