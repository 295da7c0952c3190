//! The bus in one SQLite file: durable, embedded, shared by the processes of a machine.

mod error;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use self::error::Failure;
use self::store::{Claim, Taken};
use self::writer::{Answer, Request, Work, Writer};
use super::{
    BusCapabilities, DeadLetter, Delivery, Envelope, EventBus, EventId, Lag, Page, Published, Reason,
    Receipt, Settlement, Subscriber, Subscription,
};
use crate::database::unless_locked;
use crate::error::JsonFault;
use crate::time::{Clock, SystemClock, Timestamp, after};
use crate::{Error, ErrorKind, Result};

/// Keeps events in a SQLite file.
///
/// - **Durable.** Write-ahead log with `synchronous = FULL`: what `publish` or `settle` reported has been synced to the
///   disk, and outlives `SIGKILL` and loss of power. What is asked at the same time shares one transaction and one sync.
/// - **Shared.** Several processes of one machine may open the file (not over a network file system); a member sees what
///   another process published within the [polling interval](SqliteBusOptions::with_poll).
/// - **Clock.** Leases and delays are measured by the machine's clock. When it jumps ahead, leases end early, and fencing
///   keeps that harmless; when it jumps back, leases and delays last at most as long again as they were meant to.
/// - **Kept for** [7 days](SqliteBusOptions::with_retention) and until every group has settled it; the ids of the last
///   [million](SqliteBusOptions::with_window) deleted events stay, so that publishing one again is still recognised.
/// - **Written by a newer program.** An event that this program cannot read goes to the dead letters with the reason
///   `unreadable`, and its key goes on. It is listed with whatever of it can be read; the file keeps it whole, so that a
///   program that knows its form can [replay](EventBus::replay) it.
/// - **Beside your own tables.** The tables begin with `pumasi_event_`; with [`publish_in`](Self::publish_in) an event is
///   part of your own transaction on the same file.
///
/// Clones share the connection. Dropping the last one closes the file.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::event::{Envelope, EventBus, Settlement, SqliteBus, State, Subscription};
///
/// let folder = tempfile::tempdir().unwrap();
/// let bus = SqliteBus::open(folder.path().join("events.db")).await?;
/// bus.publish(&[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
/// drop(bus); // or the power fails here
///
/// let bus = SqliteBus::open(folder.path().join("events.db")).await?;
/// let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await?;
/// let taken = member.fetch(NonZeroUsize::MIN, Duration::ZERO).await?;
/// assert_eq!(taken[0].event.key, "post-7");
/// member.settle(&taken[0].receipt, Settlement::Ack).await?;
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteBus {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::UnboundedSender<Request>,
    /// For questions that must not wait behind the writer's transactions.
    reader: Mutex<SqliteConnection>,
    changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    poll: Duration,
    busy: Duration,
    max_pages: Option<u64>,
}

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

impl SqliteBus {
    /// Opens the file at `path` with the default [options](SqliteBusOptions).
    ///
    /// # Errors
    ///
    /// As [`SqliteBusOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        SqliteBusOptions::new(path.as_ref()).open().await
    }

    /// Publishes within your own transaction on the same file: the events are there if it commits, and only then.
    ///
    /// This is an outbox without a relay. Members in this process see the events within the polling interval.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`]; `Storage` or `Unavailable` if the file failed.
    pub async fn publish_in(
        &self,
        connection: &mut SqliteConnection,
        events: &[Envelope],
    ) -> Result<Published> {
        events.iter().try_for_each(Envelope::check)?;
        let failed = |failure: Failure| failure.during("publishing", &self.shared.path);
        let rows = store::rows(events).map_err(failed)?;
        let now = self.shared.clock.now();
        let done = store::publish(connection, &[&rows], now, self.shared.max_pages).await.map_err(failed)?;
        Ok(done.first().copied().unwrap_or_default())
    }

    /// Deletes up to a thousand events that are past their retention and that no group needs; returns how many.
    ///
    /// The bus does it by itself every [minute](SqliteBusOptions::with_clean_up_every).
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the file failed.
    pub async fn clean_up(&self) -> Result<usize> {
        match self.shared.ask(Work::CleanUp).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }

    /// Reads the whole file and checks its structure; takes as long as reading it, and holds up nobody.
    ///
    /// # Errors
    ///
    /// `Storage` if the file is damaged, with the first finding in its source.
    pub async fn verify(&self) -> Result<()> {
        // On a connection of its own: all members look for events through the reader.
        let options = SqliteConnectOptions::new().filename(&self.shared.path).busy_timeout(self.shared.busy);
        let check = async {
            let mut connection = options.disable_statement_logging().connect().await?;
            let row = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
            connection.close().await?;
            sqlx::Row::try_get(&row, 0)
        };
        let found: String =
            check.await.map_err(|error| Failure::from(error).during("verifying", &self.shared.path))?;
        if found == "ok" {
            return Ok(());
        }
        let message = format!("the event store {} is damaged", self.shared.path.display());
        Err(Error::new(ErrorKind::Storage, message).with_source(found))
    }
}

impl fmt::Debug for SqliteBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBus").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Other, "the event store's writer answered another question")
}

impl Shared {
    async fn ask(&self, work: Work) -> Result<Answer> {
        let gone =
            || Error::new(ErrorKind::Unavailable, "the event store's writer has ended with its runtime");
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { work, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl EventBus for SqliteBus {
    fn capabilities(&self) -> BusCapabilities {
        let mut capabilities = BusCapabilities::none();
        capabilities.durable = true;
        capabilities.atomic_batches = true;
        capabilities.idempotent_publish = true;
        capabilities
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        events.iter().try_for_each(Envelope::check)?;
        if events.is_empty() {
            return Ok(Published::default());
        }
        let rows = store::rows(events).map_err(|failure| failure.during("publishing", &self.shared.path))?;
        match self.shared.ask(Work::Publish { rows }).await? {
            Answer::Published(published) => Ok(published),
            _ => Err(unexpected()),
        }
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        subscription.check()?;
        match self.shared.ask(Work::Subscribe { subscription: subscription.clone() }).await? {
            Answer::Subscribed(subs) => Ok(Arc::new(Member {
                shared: Arc::clone(&self.shared),
                lease: subscription.lease(),
                topics: subs.iter().map(|(topic, sub)| (*sub, topic.as_str().into())).collect(),
                list: subs.values().copied().collect(),
                turn: AtomicUsize::new(0),
                subs,
            })),
            _ => Err(unexpected()),
        }
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        let mut reader = self.shared.reader.lock().await;
        store::dead_letters(&mut reader, group, page)
            .await
            .map_err(|failure| failure.during("listing dead letters", &self.shared.path))
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        match self.shared.ask(Work::Replay { group: group.to_owned(), ids: ids.to_vec() }).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }

    async fn forget_group(&self, group: &str) -> Result<bool> {
        match self.shared.ask(Work::ForgetGroup { group: group.to_owned() }).await? {
            Answer::Count(topics) => Ok(topics > 0),
            _ => Err(unexpected()),
        }
    }
}

struct Member {
    shared: Arc<Shared>,
    lease: Duration,
    subs: BTreeMap<String, i64>,
    list: Arc<[i64]>,
    /// Which of them a fetch begins with, in turn, so that a busy topic leaves the others some of it.
    turn: AtomicUsize,
    topics: BTreeMap<i64, Arc<str>>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSubscriber")
            .field("path", &self.shared.path)
            .field("topics", &self.subs.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Member {
    fn claim(&self, receipt: &Receipt) -> Option<Claim> {
        Some(Claim {
            sub: *self.subs.get(&*receipt.topic)?,
            key: receipt.key.to_string(),
            seq: i64::try_from(receipt.position).ok()?,
            fence: i64::try_from(receipt.fence).ok()?,
            attempt: receipt.attempt,
        })
    }

    fn receipt(&self, claim: &Claim) -> Option<Receipt> {
        Some(Receipt {
            topic: Arc::clone(self.topics.get(&claim.sub)?),
            key: claim.key.as_str().into(),
            position: u128::try_from(claim.seq).ok()?,
            fence: u64::try_from(claim.fence).ok()?,
            attempt: claim.attempt,
        })
    }

    /// Puts an event aside that this program cannot read, so that it does not hold up its lane for ever.
    async fn put_aside(&self, claim: Claim, fault: JsonFault) {
        let position = claim.seq;
        tracing::error!(position, "a stored event cannot be read by this program, and is put aside");
        let reason = Reason::new("unreadable", format!("this program cannot read the event: {fault}"));
        let settlement = Settlement::DeadLetter { reason };
        if let Err(error) = self.shared.ask(Work::Settle { claim, settlement }).await {
            // It comes back when its lease ends.
            tracing::warn!(position, error = %error, "an unreadable event could not be put aside");
        }
    }

    /// Looks without writing, so that an idle member costs no lock.
    async fn next_at(&self) -> Result<Option<Timestamp>> {
        let mut reader = self.shared.reader.lock().await;
        let latest = self.shared.clock.now().saturating_add(writer::TOLERANCE);
        let next = async {
            // What waits for a clock that was put right is for the writer to mend.
            if store::is_ahead(&mut reader, &self.list, latest).await? {
                return Ok(Some(Timestamp::MIN));
            }
            store::peek(&mut reader, &self.list).await
        };
        next.await.map_err(|failure: Failure| failure.during("looking for events", &self.shared.path))
    }

    async fn take(&self, max: NonZeroUsize) -> Result<Vec<Delivery>> {
        let mut subs = self.list.to_vec();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % subs.len().max(1);
        subs.rotate_left(first);
        let work = Work::Fetch { subs: subs.into(), max: max.get(), lease: self.lease };
        match self.shared.ask(work).await? {
            Answer::Fetched(mut handout) => {
                let mut deliveries = Vec::with_capacity(handout.taken().len());
                let mut unreadable = Vec::new();
                for Taken { claim, body, .. } in handout.taken() {
                    match serde_json::from_str::<Envelope>(body) {
                        Ok(event) => {
                            let receipt = self.receipt(claim);
                            deliveries.extend(receipt.map(|receipt| Delivery::new(Arc::new(event), receipt)));
                        }
                        Err(error) => unreadable.push((claim.clone(), JsonFault::from(&error))),
                    }
                }
                for (claim, fault) in unreadable {
                    // Whoever leaves while this is asked gives back the rest, of which the writer hears later.
                    handout.leave_out(&claim);
                    self.put_aside(claim, fault).await;
                }
                handout.take();
                Ok(deliveries)
            }
            _ => Err(unexpected()),
        }
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let clock = &self.shared.clock;
        let deadline = after(clock.instant(), wait);
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let next = self.next_at().await?;
            if next.is_some_and(|next| next <= clock.now()) {
                let taken = self.take(max).await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
            }
            let left = deadline.saturating_duration_since(clock.instant());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let due = next.map_or(Duration::MAX, |next| next.saturating_since(clock.now()));
            let pause = left.min(due.max(Duration::from_millis(1))).min(self.shared.poll);
            tokio::select! {
                () = changed => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        let (mut claims, mut claimed, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for receipt in receipts {
            match self.claim(receipt) {
                Some(claim) => {
                    claims.push(claim);
                    claimed.push(receipt);
                }
                None => lost.push(receipt.clone()),
            }
        }
        let Answer::Renewed(standing) = self.shared.ask(Work::Renew { claims, lease: self.lease }).await?
        else {
            return Err(unexpected());
        };
        let fallen = claimed.into_iter().enumerate().filter(|(place, _)| !standing.contains(place));
        lost.extend(fallen.map(|(_, receipt)| receipt.clone()));
        Ok(lost)
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let Some(claim) = self.claim(receipt) else { return Err(super::delivery::stale(receipt)) };
        match self.shared.ask(Work::Settle { claim, settlement }).await? {
            Answer::Settled(true) => Ok(()),
            Answer::Settled(false) => Err(super::delivery::stale(receipt)),
            _ => Err(unexpected()),
        }
    }

    async fn lag(&self) -> Result<Lag> {
        let mut reader = self.shared.reader.lock().await;
        store::lag(&mut reader, &self.list)
            .await
            .map_err(|failure| failure.during("measuring the lag", &self.shared.path))
    }
}
