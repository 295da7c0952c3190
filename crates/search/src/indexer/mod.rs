//! How an index stays in step with its source: events as they come, a whole index built anew, and what went missing.

mod batch;
mod drift;
mod sweep;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{Delivery, Envelope, Handler, State};
use pumasi_core::time::Clock;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Change, SearchEngine};
use crate::schema::Document;
use crate::search::Search;
use crate::{Error, ErrorKind, Result};
use batch::{Job, Progress, Worker};

pub use drift::{Drift, Filled, Source, check, fill, repair};
pub use sweep::{Journal, Recent, Sweep};

/// How an [`Indexer`] gathers changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexerOptions {
    largest: usize,
    linger: Duration,
    patience: Duration,
}

impl Default for IndexerOptions {
    /// At most 1,000 changes at a time, gathered for 20 milliseconds; an engine has 30 seconds for them.
    fn default() -> Self {
        Self { largest: 1_000, linger: Duration::from_millis(20), patience: Duration::from_secs(30) }
    }
}

impl IndexerOptions {
    /// Sets how many changes are applied together at most.
    #[must_use]
    pub fn with_largest(mut self, largest: usize) -> Self {
        self.largest = largest.max(1);
        self
    }

    /// Sets how long an engine may take for the changes that are applied together. They fail as a `Timeout` then, and the engine is
    /// left alone for as long before it is tried again, and twice as long each time more, so that it does not keep the others waiting.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long more changes are waited for after the first.
    #[must_use]
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }
}

/// How far an indexer is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many changes it has in hand.
    pub waiting: usize,
    /// How long ago the oldest of them was made at its source; zero where there is none.
    pub behind: Duration,
}

/// Applies events to one engine or several, as a [`Handler`] of core's `Consumer`.
///
/// - Cached pages of a [`Search`] that it is [told of](Self::with_search) are made old by what it writes.
/// - An event's version is the change's: events may come twice and in any order, and deletes are remembered.
/// - Changes are gathered and applied together; an event is acknowledged when every engine has it durably.
/// - No more than a few batches wait: who hands events over waits then, and so does the consumer.
/// - An engine that cannot be reached, or hangs for [longer](IndexerOptions::with_patience) than 30 s, makes the event come back later, and the other engines have it meanwhile; an event whose document the schema does not allow
///   becomes a dead letter. One bad event holds nothing up.
///
/// Give the consumer more lanes than one ([`with_concurrency`](pumasi_core::event::Consumer::with_concurrency)): as many events
/// are gathered as there are lanes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use pumasi_core::event::{Consumer, Envelope, EventBus, MemoryBus, Shutdown, State, Subscription};
/// use pumasi_search::indexer::Indexer;
/// use pumasi_search::{Document, MemoryEngine, Schema, SearchEngine, TextField};
/// use serde_json::json;
///
/// let engine = Arc::new(MemoryEngine::new(Schema::new("posts").with_text(TextField::new("title"))));
/// let indexer = Indexer::start(Arc::clone(&engine), |event| Ok(Some(Document::new(event.key.as_str(), event.payload.clone()))));
///
/// let bus = Arc::new(MemoryBus::new());
/// bus.publish(&[Envelope::new("posts", "7", State::Created, 1).with_payload(&json!({"title": "한강 러닝"}))?]).await?;
/// let shutdown = Shutdown::new();
/// let running = tokio::spawn(Consumer::new(bus, Subscription::new("search", ["posts"]), indexer).run(shutdown.clone()));
/// while engine.status().await?.documents == 0 {
///     tokio::time::sleep(std::time::Duration::from_millis(5)).await;
/// }
/// shutdown.trigger();
/// # running.await.unwrap()?;
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Indexer {
    queue: mpsc::Sender<Job>,
    targets: Targets,
    searches: Searches,
    progress: Arc<Progress>,
    convert: Arc<Convert>,
}

type Convert = dyn Fn(&Envelope) -> Result<Option<Document>> + Send + Sync;
type Targets = Arc<RwLock<Vec<Arc<dyn SearchEngine>>>>;
type Searches = Arc<RwLock<Vec<Search>>>;

impl fmt::Debug for Indexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexer").field("targets", &self.targets).finish_non_exhaustive()
    }
}

impl Indexer {
    /// Starts a task that applies changes to an engine, until the last handle is dropped. `convert` makes an event its document;
    /// `None` for one that must not be found any more.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        engine: impl SearchEngine + 'static,
        convert: impl Fn(&Envelope) -> Result<Option<Document>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(engine, convert, IndexerOptions::default())
    }

    /// Starts the task with options.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start_with(
        engine: impl SearchEngine + 'static,
        convert: impl Fn(&Envelope) -> Result<Option<Document>> + Send + Sync + 'static,
        options: IndexerOptions,
    ) -> Self {
        let targets: Targets = Arc::new(RwLock::new(vec![Arc::new(engine)]));
        let searches = Searches::default();
        let progress = Arc::new(Progress::default());
        let (queue, jobs) = mpsc::channel(options.largest.saturating_mul(2));
        let worker = Worker {
            targets: Arc::clone(&targets),
            searches: Arc::clone(&searches),
            progress: Arc::clone(&progress),
            largest: options.largest,
            linger: options.linger,
            patience: options.patience,
            hung: Vec::new(),
        };
        tokio::spawn(worker.run(jobs));
        Self { queue, targets, searches, progress, convert: Arc::new(convert) }
    }

    /// Makes the cached pages of `search` old with every batch of changes, before the changes are acknowledged: whoever is told
    /// that a write is there is not served a page from before it as [cached](crate::fallback::Served::Cached).
    ///
    /// A shared cache that fails is logged and holds nothing up; its pages stay until their bound.
    #[must_use]
    pub fn with_search(self, search: Search) -> Self {
        self.searches.write().unwrap_or_else(PoisonError::into_inner).push(search);
        self
    }

    /// Applies changes to this engine too, from now on: one that is being built anew, say.
    ///
    /// # Errors
    ///
    /// `Other` where a thread panicked while it held the list.
    pub fn also(&self, engine: impl SearchEngine + 'static) -> Result<()> {
        self.targets.write().map_err(|_| broken())?.push(Arc::new(engine));
        Ok(())
    }

    /// Applies changes to this engine only, from now on: after a switch.
    ///
    /// # Errors
    ///
    /// `Other` where a thread panicked while it held the list.
    pub fn only(&self, engine: impl SearchEngine + 'static) -> Result<()> {
        *self.targets.write().map_err(|_| broken())? = vec![Arc::new(engine)];
        Ok(())
    }

    /// Applies a change, together with others that come at the same time.
    ///
    /// # Errors
    ///
    /// What an engine says of the change, or of the batch it was in.
    pub async fn apply(&self, change: Change) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let ended = || Error::new(ErrorKind::Unavailable, "the indexer has ended");
        self.progress.took(&change);
        let job = Job { change, reply: Some(reply), progress: Arc::clone(&self.progress) };
        self.queue.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Tells how far the indexer is behind with what it has in hand; what waits in the bus is the consumer's to tell.
    pub fn lag(&self, clock: &dyn Clock) -> Lag {
        self.progress.lag(clock.now())
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Other,
        "the indexer's list of engines is broken: a thread panicked while it held it",
    )
}

#[async_trait]
impl Handler for Indexer {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &delivery.event;
        let document = match event.state {
            State::Deleted => None,
            State::Created | State::Updated => (self.convert)(event)?,
        };
        let change = match document {
            Some(document) => Change::upsert(document, event.version),
            None => Change::delete(event.key.as_str(), event.version),
        };
        self.apply(change.with_at(event.occurred_at)).await
    }
}
