//! How the file is opened and what it keeps.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, mpsc};

use super::error::Failure;
use super::writer::Writer;
use super::{Shared, SqliteBus, store, writer};
use crate::Result;
use crate::database::unless_locked;
use crate::time::{Clock, SystemClock, Timestamp};

/// How a [`SqliteBus`] is opened.
#[derive(Clone, Debug)]
pub struct SqliteBusOptions {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    busy: Duration,
    poll: Duration,
    retention: Duration,
    window: u64,
    clean_up_every: Duration,
    max_bytes: Option<u64>,
}

impl SqliteBusOptions {
    /// The size of a page of the file, in bytes.
    const PAGE: u64 = 4096;

    /// Makes the options for the file at `path`, which is created if it is missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(SystemClock),
            busy: Duration::from_secs(10),
            poll: Duration::from_millis(50),
            retention: Duration::from_hours(7 * 24),
            window: 1_000_000,
            clean_up_every: Duration::from_mins(1),
            max_bytes: None,
        }
    }

    /// Sets the clock by which leases, delays and retention are measured (default: the machine's).
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

    /// Sets how often a waiting fetch looks for what other processes published (default 50 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Sets how long events stay for groups that begin later (default 7 days); what a group has not settled stays anyway.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how many ids of deleted events are remembered (default a million).
    #[must_use]
    pub fn with_window(mut self, ids: u64) -> Self {
        self.window = ids;
        self
    }

    /// Sets how often old events are deleted (default every minute).
    #[must_use]
    pub fn with_clean_up_every(mut self, period: Duration) -> Self {
        self.clean_up_every = period.max(Duration::from_millis(1));
        self
    }

    /// Sets the size over which the file must not grow, rounded down to pages of 4 KiB (default: the disk's).
    ///
    /// When seven eighths are in use, publishing is refused with `Storage`; the rest is kept for handing out and settling
    /// what is there.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Opens the file, and makes its tables if they are missing.
    ///
    /// Must be called within a tokio runtime, which must outlive the bus.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be opened, is damaged or is no SQLite database; `Unavailable` if another process
    /// holds it for too long; `Unsupported` if a newer version of this crate has changed its layout.
    pub async fn open(self) -> Result<SqliteBus> {
        let now = self.clock.now();
        let (connection, reader) =
            self.connections(now).await.map_err(|failure| failure.during("opening", &self.path))?;
        let (requests, incoming) = mpsc::unbounded_channel();
        let changed = Arc::new(Notify::new());
        let writer = Writer {
            connection,
            path: self.path.clone(),
            clock: Arc::clone(&self.clock),
            changed: Arc::clone(&changed),
            requests: requests.downgrade(),
            retention: self.retention,
            window: self.window,
            max_pages: self.max_pages(),
            busy: self.busy,
            last: now,
        };
        tokio::spawn(writer.run(incoming, self.clean_up_every));
        let max_pages = self.max_pages();
        Ok(SqliteBus {
            shared: Arc::new(Shared {
                requests,
                reader: Mutex::new(reader),
                changed,
                clock: self.clock,
                path: self.path,
                poll: self.poll,
                busy: self.busy,
                max_pages,
            }),
        })
    }

    /// Makes the writer's and the reader's connection, and the tables.
    ///
    /// Switching a new file to the write-ahead log does not wait for a writer as everything else does: who opens the file
    /// while another process makes its tables is told at once that it is busy, and tries again until the busy timeout is
    /// over.
    async fn connections(
        &self,
        now: Timestamp,
    ) -> std::result::Result<(SqliteConnection, SqliteConnection), Failure> {
        let begun = Instant::now();
        unless_locked(self.busy, Failure::is_busy, || async {
            // The writer waits for its lock by itself.
            let mut connection = self.connect(Duration::ZERO).await?;
            prepare(&mut connection, now, self.busy.saturating_sub(begun.elapsed())).await?;
            Ok((connection, self.connect(self.busy).await?))
        })
        .await
    }

    fn max_pages(&self) -> Option<u64> {
        self.max_bytes.map(|bytes| (bytes / Self::PAGE).max(1))
    }

    async fn connect(&self, busy: Duration) -> std::result::Result<SqliteConnection, sqlx::Error> {
        let mut options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .page_size(4096)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy)
            .disable_statement_logging();
        if let Some(pages) = self.max_pages() {
            options = options.pragma("max_page_count", pages.to_string());
        }
        options.connect().await
    }
}

async fn prepare(
    connection: &mut SqliteConnection,
    now: Timestamp,
    busy: Duration,
) -> std::result::Result<(), Failure> {
    writer::begin(connection, busy).await?;
    let made = match store::prepare(connection).await {
        Ok(()) => store::rebase(connection, now).await,
        Err(failure) => Err(failure),
    };
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sqlx::query(end).execute(connection).await;
    made?;
    ended?;
    Ok(())
}
