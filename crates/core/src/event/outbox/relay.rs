//! From an outbox to a bus.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Claim, OutboxStore, Outcome};
use crate::event::{Envelope, EventBus, Reason, Shutdown};
use crate::resilience::{Backoff, Random, within};
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// How often the backlog is measured.
const MEASURE_PERIOD: Duration = Duration::from_secs(15);

/// Publishes what an [outbox](OutboxStore) holds on a bus, in order per topic and key, until it is told to stop.
///
/// Any number of relays may work on one outbox, in one process or many; each event is with one of them.
///
/// - **At least once.** An event is deleted after the bus has it. A relay that dies or stalls between the two leaves it to
///   another one after the [lease](Self::with_lease), and the bus drops the double by the event's id, for as long as it
///   remembers it. A relay that was frozen for longer than its lease, and wakes up while it publishes, can publish an event
///   after its successor has gone on; on a bus that does not recognise doubles, consumers see it again, out of place, and
///   drop it by its id.
/// - **The bus is down.** Nothing is lost and nothing is skipped: the relay tries again with a
///   [backoff](Self::with_backoff), for ever, whatever the bus's error says.
/// - **The bus turns a topic away** (it does not exist, or may not be written): the other topics' events of the batch are
///   published all the same, as long as those that wait do not fill the front of their shards. What waits is tried again.
/// - **The bus refuses an event.** One that it calls `InvalidInput` is found in its batch, put aside with the reason
///   ([`OutboxStore::refused`]), and its key goes on.
/// - **Shutdown.** It claims nothing more, and gives what is being published until the end of the
///   [drain limit](Self::with_drain_limit).
///
/// Metrics, labelled with the [name](Self::with_name): the gauges `pumasi_outbox_pending`, `pumasi_outbox_oldest_seconds`
/// and `pumasi_outbox_refused`, measured every 15 seconds by each relay that runs, and the counters
/// `pumasi_outbox_relayed_total`, `pumasi_outbox_duplicates_total`, `pumasi_outbox_refused_total` and
/// `pumasi_outbox_failures_total`.
///
/// Clones share what they count. See [`SqliteOutbox`](super::SqliteOutbox) for an example.
#[derive(Clone)]
pub struct Relay {
    store: Arc<dyn OutboxStore>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    random: Random,
    name: Arc<str>,
    batch: NonZeroUsize,
    workers: NonZeroUsize,
    lease: Duration,
    backoff: Backoff,
    drain_limit: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    relayed: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    lost: AtomicU64,
}

/// What a relay has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Events that the bus has and the outbox no longer, as far as the outbox confirmed it.
    pub relayed: u64,
    /// Events that the bus had already when they were published; most of them are counted as relayed, too.
    pub duplicates: u64,
    /// Events that were put aside.
    pub refused: u64,
    /// Calls to the bus or to the store that failed.
    pub failures: u64,
    /// Claims whose lease had ended, and which somebody else held, before they were completed.
    pub lost: u64,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("store", &self.store)
            .field("bus", &self.bus)
            .field("batch", &self.batch)
            .field("workers", &self.workers)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// The longest lease: an hour.
    const MAX_LEASE: Duration = Duration::from_hours(1);

    /// Makes a relay with batches of 500, 2 workers, leases of 30 seconds, a backoff from 50 milliseconds to 5 seconds, and
    /// 10 seconds to drain.
    pub fn new(store: impl OutboxStore + 'static, bus: impl EventBus + 'static) -> Self {
        Self {
            store: Arc::new(store),
            bus: Arc::new(bus),
            clock: Arc::new(SystemClock),
            random: Random::system(),
            name: "outbox".into(),
            batch: NonZeroUsize::MIN.saturating_add(499),
            workers: NonZeroUsize::MIN.saturating_add(1),
            lease: Duration::from_secs(30),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            drain_limit: Duration::from_secs(10),
            counts: Arc::default(),
        }
    }

    /// Sets the name under which it is logged and measured (default `outbox`).
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many events are published in one call, about (default 500).
    #[must_use]
    pub fn with_batch(mut self, events: NonZeroUsize) -> Self {
        self.batch = events;
        self
    }

    /// Sets how many batches are under way at once (default 2).
    #[must_use]
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets for how long a claim holds (default 30 seconds; from 100 milliseconds to an hour).
    ///
    /// It is how long the events of a relay that died wait for another one. Publishing a batch must be done in two thirds
    /// of it.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(100), Self::MAX_LEASE);
        self
    }

    /// Sets how long it waits after failures (default: 50 milliseconds doubling to 5 seconds, full jitter).
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long a batch may go on after the shutdown signal (default 10 seconds).
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Sets the clock by which limits and pauses are measured (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns what it and its clones have counted so far.
    pub fn stats(&self) -> RelayStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RelayStats {
            relayed: read(&self.counts.relayed),
            duplicates: read(&self.counts.duplicates),
            refused: read(&self.counts.refused),
            failures: read(&self.counts.failures),
            lost: read(&self.counts.lost),
        }
    }

    /// Relays until `shutdown` is triggered, then drains, and returns what it counted.
    ///
    /// Dropping the future stops at once; what was being published is claimed again when its lease ends.
    ///
    /// # Errors
    ///
    /// The store's error, if its retry class says never: tables that are missing or too new, a damaged file.
    pub async fn run(self, shutdown: Shutdown) -> Result<RelayStats> {
        let woken = Arc::new(Notify::new());
        // Dropped, and so ended, together with this future.
        let mut background = JoinSet::new();
        background.spawn(wake(Arc::clone(&self.store), Arc::clone(&woken)));
        background.spawn(self.clone().measure());
        let mut workers = JoinSet::new();
        for _ in 0..self.workers.get() {
            workers.spawn(self.clone().work(Arc::clone(&woken), shutdown.clone()));
        }
        let mut ended = Ok(());
        while let Some(worker) = workers.join_next().await {
            let outcome = worker
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, "a worker of the relay panicked")));
            if ended.is_ok() {
                ended = outcome;
            }
            if ended.is_err() {
                break;
            }
        }
        ended.map(|()| self.stats())
    }

    /// Relays what can be claimed now, and returns what was counted since the relay was made.
    ///
    /// For tests, and for relaying from a schedule. What somebody else holds at the moment is left to them.
    ///
    /// # Errors
    ///
    /// The first error of the bus or of the store.
    pub async fn relay_pending(&self) -> Result<RelayStats> {
        while self.step(std::future::pending()).await? > 0 {}
        Ok(self.stats())
    }

    async fn work(self, woken: Arc<Notify>, shutdown: Shutdown) -> Result<()> {
        let mut failures = 0;
        while !shutdown.is_triggered() {
            let mut waked = std::pin::pin!(woken.notified());
            // What is written from here on wakes this worker, so nothing falls between looking and waiting.
            waked.as_mut().enable();
            let given_up = async {
                shutdown.triggered().await;
                self.clock.sleep(self.drain_limit).await;
            };
            match self.step(given_up).await {
                Ok(0) => {
                    failures = 0;
                    tokio::select! {
                        () = shutdown.triggered() => {}
                        () = waked => {}
                    }
                }
                Ok(_) => failures = 0,
                Err(Failed { error, of_store: true }) if !error.retry().is_retryable() => return Err(error),
                Err(Failed { error, .. }) => {
                    failures += 1;
                    tracing::warn!(error = %error, failures, outbox = %self.name, "events could not be relayed");
                    let pause = self.backoff.delay(failures, &self.random);
                    tokio::select! {
                        () = shutdown.triggered() => {}
                        () = self.clock.sleep(pause) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Claims, publishes and completes one batch; returns how many events it had.
    async fn step(&self, given_up: impl Future<Output = ()>) -> std::result::Result<usize, Failed> {
        let begun = self.clock.instant();
        let claim = self.ask_store(self.store.claim(self.batch, self.lease)).await?;
        if claim.shards.is_empty() {
            return Ok(0);
        }
        let (outcome, published) = self.publish(&claim, begun, given_up).await;
        match self.ask_store(self.store.complete(&claim, &outcome)).await {
            Ok(()) => {
                self.count("pumasi_outbox_relayed_total", &self.counts.relayed, outcome.relayed.len());
                self.count("pumasi_outbox_refused_total", &self.counts.refused, outcome.refused.len());
            }
            Err(failed)
                if failed.error.kind() == ErrorKind::Conflict && !failed.error.retry().is_retryable() =>
            {
                // Whoever has the claim now publishes again what was published, and the bus drops it.
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(outbox = %self.name, events = claim.events.len(), "the lease ended before a batch did");
            }
            Err(failed) => return Err(failed),
        }
        match published {
            Err(Failed { error, .. }) if !outcome.relayed.is_empty() => {
                // Whatever else waits behind it goes on without a pause.
                tracing::warn!(error = %error, outbox = %self.name, "some events could not be relayed");
                Ok(outcome.relayed.len())
            }
            published => published.map(|()| claim.events.len().max(1)),
        }
    }

    /// Publishes a claim's events as far as the bus takes them.
    async fn publish(
        &self,
        claim: &Claim,
        begun: Instant,
        given_up: impl Future<Output = ()>,
    ) -> (Outcome, std::result::Result<(), Failed>) {
        let mut outcome = Outcome::default();
        let (mut events, mut places) = (Vec::new(), Vec::new());
        for (place, claimed) in claim.events.iter().enumerate() {
            match &claimed.event {
                Ok(event) => {
                    events.push(event.clone());
                    places.push(place);
                }
                Err(reason) => self.refuse(&mut outcome, place, reason.clone()),
            }
        }
        let mut given_up = std::pin::pin!(given_up);
        let limit = self.lease / 3 * 2;
        // What is left to publish, the first on top.
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut turned_away = Ok(());
        if !events.is_empty() {
            parts.push(0..events.len());
        }
        while let Some(part) = parts.pop() {
            let left = limit.saturating_sub(self.clock.instant().saturating_duration_since(begun));
            let published = {
                let batch: &[Envelope] = events.get(part.clone()).unwrap_or_default();
                let call = std::pin::pin!(within(&*self.clock, left, self.bus.publish(batch)));
                match select(call, given_up.as_mut()).await {
                    Either::Left((Some(published), _)) => published,
                    Either::Left((None, _)) => {
                        Err(unknown("the bus did not answer while the claim was held"))
                    }
                    Either::Right(_) => Err(unknown("the bus did not answer before the relay was to end")),
                }
            };
            match published {
                Ok(published) => {
                    self.count(
                        "pumasi_outbox_duplicates_total",
                        &self.counts.duplicates,
                        published.duplicates,
                    );
                    outcome.relayed.extend(places.get(part).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let middle = part.start + part.len() / 2;
                    if part.len() > 1 {
                        parts.extend([middle..part.end, part.start..middle]);
                    } else if let Some(place) = places.get(part.start) {
                        self.refuse(&mut outcome, *place, Reason::from(&error));
                    }
                }
                Err(error) => {
                    self.count("pumasi_outbox_failures_total", &self.counts.failures, 1);
                    if !of_a_topic(&error) {
                        return (outcome, Err(Failed { error, of_store: false }));
                    }
                    parts.extend(by_topic(&mut events, &mut places, part));
                    turned_away = turned_away.and(Err(Failed { error, of_store: false }));
                }
            }
        }
        (outcome, turned_away)
    }

    fn refuse(&self, outcome: &mut Outcome, place: usize, reason: Reason) {
        tracing::error!(outbox = %self.name, reason = %reason, "an event cannot be relayed, and is put aside");
        outcome.refused.push((place, reason));
    }

    /// Asks the store, for no longer than a lease: a connection that was cut off without a word must not hang the relay.
    async fn ask_store<T>(&self, call: impl Future<Output = Result<T>>) -> std::result::Result<T, Failed> {
        let answered = within(&*self.clock, self.lease, call).await;
        answered.unwrap_or_else(|| Err(unknown("the outbox did not answer within a lease"))).map_err(
            |error| {
                self.count("pumasi_outbox_failures_total", &self.counts.failures, 1);
                Failed { error, of_store: true }
            },
        )
    }

    fn count(&self, metric: &'static str, count: &AtomicU64, more: usize) {
        if more > 0 {
            count.fetch_add(more as u64, Ordering::Relaxed);
            metrics::counter!(metric, "outbox" => self.name.to_string()).increment(more as u64);
        }
    }

    async fn measure(self) {
        loop {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge is a float; 2^53 events are out of reach"
            )]
            match self.store.backlog().await {
                Ok(backlog) => {
                    let gauge =
                        |metric: &'static str| metrics::gauge!(metric, "outbox" => self.name.to_string());
                    gauge("pumasi_outbox_pending").set(backlog.pending as f64);
                    gauge("pumasi_outbox_refused").set(backlog.refused as f64);
                    gauge("pumasi_outbox_oldest_seconds")
                        .set(backlog.oldest.unwrap_or_default().as_secs_f64());
                }
                Err(error) => {
                    tracing::debug!(error = %error, outbox = %self.name, "the backlog could not be measured");
                }
            }
            self.clock.sleep(MEASURE_PERIOD).await;
        }
    }
}

async fn wake(store: Arc<dyn OutboxStore>, woken: Arc<Notify>) {
    loop {
        store.changed().await;
        woken.notify_waiters();
    }
}

/// Tells whether a bus may have failed so for one topic and not for another.
fn of_a_topic(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::NotFound | ErrorKind::Unsupported)
}

/// Sorts a part by topics, each in its order, and gives a part for each; none if there is only one.
fn by_topic(events: &mut [Envelope], places: &mut [usize], part: Range<usize>) -> Vec<Range<usize>> {
    let (Some(events), Some(places)) = (events.get_mut(part.clone()), places.get_mut(part.clone())) else {
        return Vec::new();
    };
    let mut together: Vec<(Envelope, usize)> = events.iter().cloned().zip(places.iter().copied()).collect();
    together.sort_by(|(a, _), (b, _)| a.topic.cmp(&b.topic));
    let mut begin = part.start;
    let mut parts: Vec<Range<usize>> = together
        .chunk_by(|(a, _), (b, _)| a.topic == b.topic)
        .map(|topic| {
            let range = begin..begin + topic.len();
            begin = range.end;
            range
        })
        .collect();
    for ((event, place), (to, at)) in together.into_iter().zip(events.iter_mut().zip(places)) {
        (*to, *at) = (event, place);
    }
    if parts.len() == 1 {
        parts.clear();
    }
    parts.reverse();
    parts
}

fn unknown(what: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, what)
}

/// Why a batch was not relayed, and whose fault it is.
struct Failed {
    error: Error,
    of_store: bool,
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}
