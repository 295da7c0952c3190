//! The bus in one SQLite file: durable, embedded, shared by the processes of a machine.

mod error;
mod member;
mod options;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use self::error::Failure;
use self::member::Member;
pub use self::options::SqliteBusOptions;
use self::writer::{Answer, Request, Work};
use super::{
    BusCapabilities, DeadLetter, Envelope, EventBus, EventId, Page, Published, Subscriber, Subscription,
};
use crate::time::Clock;
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
