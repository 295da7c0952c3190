//! The runner of handlers.

mod ahead;
mod control;
mod handler;
mod held;
mod lane;
mod meters;
mod out;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use ahead::{Ahead, Room};
pub use control::{ConsumerStats, Control, Shutdown};
pub(crate) use handler::passing;
pub use handler::{Handler, HandlerFn, handler_fn};
use held::Held;
use lane::{Alone, Leaving, Work};
use meters::Meters;

use super::{Delivery, EventBus, Receipt, Settlement, Subscriber, Subscription};
use crate::Result;
use crate::resilience::{Backoff, Random, within};
use crate::time::{Clock, SystemClock};

/// How long a fetch waits for the first event before it asks again.
const FETCH_WAIT: Duration = Duration::from_secs(5);
/// How often the lag is measured.
const LAG_PERIOD: Duration = Duration::from_secs(15);

/// Runs a [`Handler`] over the events of a [`Subscription`] until it is told to stop.
///
/// - Events of one topic and key are handled one after the other, in order; up to
///   [`concurrency`](Self::with_concurrency) lanes are worked on at once.
/// - An event is acknowledged after its handler returned `Ok`, never before.
/// - A failed attempt is put off in the bus: the lane waits for its delay, the other lanes do not. After
///   [`max_attempts`](Self::with_max_attempts), or an error that says never, the event is put aside with the reason.
/// - A handler that panics is an attempt that failed; an event that kills the process is counted by the bus, and put
///   aside when its attempts are used up.
/// - Where handlers are quick, events are taken ahead: no more than were handled within the last 50 milliseconds, so that
///   the bus's answers are not what they wait for. One that has waited for a second is given back.
/// - While a handler works its lease is renewed from a task of its own: one that takes ten minutes loses nothing and
///   keeps nobody waiting. (On a single-threaded runtime a handler must not block the thread.)
/// - On [`Shutdown`] it takes nothing more, finishes what is being handled within the
///   [drain limit](Self::with_drain_limit), and gives the rest back at once.
///
/// Metrics, labelled with the `group`: the counter `pumasi_event_deliveries_total` with the label `outcome` (`handled` and the ways
/// not to be), the histogram `pumasi_event_handler_seconds`, and the gauges `pumasi_event_in_flight`, `pumasi_event_lag` (what the
/// group has not settled) and `pumasi_event_dead_letters`, the last two measured every 15 seconds: each process of a group tells them
/// of the whole group.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use pumasi_core::event::{Consumer, Delivery, Envelope, EventBus, MemoryBus, Shutdown, State, Subscription, handler_fn};
///
/// let bus = Arc::new(MemoryBus::new());
/// bus.publish(&[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
///
/// let shutdown = Shutdown::new();
/// let done = shutdown.clone();
/// let handler = handler_fn(move |delivery: Delivery| {
///     assert_eq!(delivery.event.key, "post-7");
///     done.trigger();
///     async { Ok(()) }
/// });
/// let stats = Consumer::new(bus, Subscription::new("readers", ["posts"]), handler).run(shutdown).await?;
/// assert_eq!(stats.handled, 1);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
pub struct Consumer {
    bus: Arc<dyn EventBus>,
    subscription: Subscription,
    handler: Arc<dyn Handler>,
    clock: Arc<dyn Clock>,
    concurrency: NonZeroUsize,
    drain_limit: Duration,
    policy: Policy,
    control: Control,
}

/// When a failed attempt is repeated.
#[derive(Clone, Debug)]
struct Policy {
    max_attempts: u32,
    backoff: Backoff,
    random: Random,
    handler_limit: Duration,
    /// Between calls to a store that fails.
    store_backoff: Backoff,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("bus", &self.bus)
            .field("subscription", &self.subscription)
            .field("concurrency", &self.concurrency)
            .field("drain_limit", &self.drain_limit)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// Makes a consumer with 16 lanes at once, 8 attempts, a backoff from 1 second to 5 minutes, an hour for a handler
    /// and 30 seconds to drain.
    pub fn new(
        bus: impl EventBus + 'static,
        subscription: Subscription,
        handler: impl Handler + 'static,
    ) -> Self {
        Self {
            bus: Arc::new(bus),
            subscription,
            handler: Arc::new(handler),
            clock: Arc::new(SystemClock),
            concurrency: NonZeroUsize::MIN.saturating_add(15),
            drain_limit: Duration::from_secs(30),
            policy: Policy {
                max_attempts: 8,
                backoff: Backoff::new(Duration::from_secs(1), Duration::from_mins(5)),
                random: Random::system(),
                handler_limit: Duration::from_hours(1),
                store_backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(5)),
            },
            control: Control::new(),
        }
    }

    /// Sets how many lanes are worked on at once (default 16).
    #[must_use]
    pub fn with_concurrency(mut self, lanes: NonZeroUsize) -> Self {
        self.concurrency = lanes;
        self
    }

    /// Sets after how many attempts an event is put aside (default 8; 0 counts as 1).
    ///
    /// An event that was handed out so often while no attempt came to an end may have killed its process each time, and so may
    /// any other that was at work with it. It is tried up to three times more (not with a maximum of 1, once with 2), with
    /// nothing else at work in this process: the others wait for that, and only what kills is put aside.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts.max(1);
        self
    }

    /// Sets how long an event waits between attempts (default: 1 second doubling to 5 minutes, full jitter).
    ///
    /// An error that asks for a longer delay gets it.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.policy.backoff = backoff;
        self
    }

    /// Sets where the jitter comes from (default: the system).
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.policy.random = random;
        self
    }

    /// Sets how long one attempt may take before it counts as failed (default an hour).
    #[must_use]
    pub fn with_handler_limit(mut self, limit: Duration) -> Self {
        self.policy.handler_limit = limit;
        self
    }

    /// Sets how long handlers may go on after the shutdown signal (default 30 seconds).
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Sets the clock by which delays, limits and heartbeats are measured (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the control by which others pause, resume and watch this consumer.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Works until `shutdown` is triggered, then drains, and returns what it counted.
    ///
    /// A store that fails for the moment is asked again, with a backoff; dropping the future stops at once, and what was
    /// being handled comes back when its lease ends.
    ///
    /// # Errors
    ///
    /// The bus's error, if its retry class says never: a subscription that breaks the rules, a damaged store. What was
    /// being handled is drained first.
    pub async fn run(self, shutdown: Shutdown) -> Result<ConsumerStats> {
        let Some(subscriber) = self.subscribe(&shutdown).await? else { return Ok(self.control.stats()) };
        let held = Arc::new(Held::default());
        // Dropped, and so ended, together with this future.
        let mut background = JoinSet::new();
        background.spawn(Arc::clone(&held).heartbeat(
            Arc::clone(&subscriber),
            Arc::clone(&self.clock),
            self.subscription.lease(),
        ));
        let group: Arc<str> = self.subscription.group().into();
        background.spawn(measure_lag(
            Arc::clone(&group),
            Arc::clone(&subscriber),
            Arc::clone(&self.clock),
            self.control.clone(),
        ));
        let work = Arc::new(Work {
            meters: Meters::new(&group),
            concurrency: self.concurrency,
            places: Semaphore::new(self.concurrency.get()),
            alone: Alone::default(),
            leaving: Leaving::default(),
            out: Arc::default(),
            group,
            subscriber,
            handler: self.handler,
            clock: self.clock,
            policy: self.policy,
            held,
            control: self.control,
            shutdown,
        });
        let mut lanes = JoinSet::new();
        let ended = take(&work, self.concurrency, &mut lanes).await;
        drain(&work, self.drain_limit, self.subscription.lease(), &mut lanes).await;
        work.subscriber.close().await;
        ended.map(|()| work.control.stats())
    }

    /// Subscribes, however often it takes; `None` if it was told to stop before.
    async fn subscribe(&self, shutdown: &Shutdown) -> Result<Option<Arc<dyn Subscriber>>> {
        let mut tries = 0;
        loop {
            let subscribed = tokio::select! {
                biased;
                subscribed = self.bus.subscribe(&self.subscription) => subscribed,
                () = shutdown.triggered() => return Ok(None),
            };
            let error = match subscribed {
                Ok(subscriber) => return Ok(Some(subscriber)),
                Err(error) if !error.retry().is_retryable() => return Err(error),
                Err(error) => error,
            };
            tries += 1;
            tracing::warn!(error = %error, tries, group = self.subscription.group(), "could not subscribe");
            tokio::select! {
                () = shutdown.triggered() => return Ok(None),
                () = self.clock.sleep(self.policy.store_backoff.delay(tries, &self.policy.random)) => {}
            }
        }
    }
}

/// Takes events and starts their lanes until the shutdown signal, or an error that will not pass.
async fn take(work: &Arc<Work>, concurrency: NonZeroUsize, lanes: &mut JoinSet<()>) -> Result<()> {
    let mut ahead = Ahead::new(concurrency);
    let mut failures = 0;
    loop {
        let ready = async {
            work.control.until(false).await;
            work.alone.until(false).await;
            loop {
                while lanes.try_join_next().is_some() {}
                let handled = work.control.stats().handled;
                let leaving = work.leaving.count().min(concurrency.get());
                let out = work.out.count().saturating_sub(leaving);
                let few = match ahead.room(out, handled, work.clock.instant()) {
                    Room::For(max) => return max,
                    Room::Later(few) => few,
                };
                tokio::select! {
                    () = work.out.at_most(few + leaving) => {}
                    () = work.leaving.more() => {}
                }
            }
        };
        let max = tokio::select! {
            biased;
            () = work.shutdown.triggered() => return Ok(()),
            max = ready => max,
        };
        let fetched = tokio::select! {
            biased;
            () = work.shutdown.triggered() => return Ok(()),
            () = work.control.until(true) => continue,
            () = work.alone.until(true) => continue,
            fetched = work.subscriber.fetch(max, FETCH_WAIT) => fetched,
        };
        match fetched {
            Ok(deliveries) => {
                failures = 0;
                for run in by_lane(deliveries) {
                    let lost = Shutdown::new();
                    work.held.add(&run, &lost);
                    lanes.spawn(Arc::clone(work).run(run, lost, work.out.begin()));
                }
            }
            Err(error) if !error.retry().is_retryable() => return Err(error),
            Err(error) => {
                failures += 1;
                tracing::warn!(error = %error, failures, group = %work.group, "events could not be fetched");
                let pause = work.policy.store_backoff.delay(failures, &work.policy.random);
                tokio::select! {
                    () = work.shutdown.triggered() => {}
                    () = work.clock.sleep(pause) => {}
                }
            }
        }
    }
}

/// Sorts deliveries into runs of one topic and key, keeping their order.
fn by_lane(deliveries: Vec<Delivery>) -> Vec<Vec<Delivery>> {
    let mut known = HashMap::with_capacity(deliveries.len());
    let lanes = deliveries.iter().map(|Delivery { receipt, .. }| {
        let new = known.len();
        *known.entry((&*receipt.topic, &*receipt.key)).or_insert(new)
    });
    let lanes: Vec<usize> = lanes.collect();
    let mut runs = vec![Vec::new(); known.len()];
    for (delivery, lane) in deliveries.into_iter().zip(lanes) {
        if let Some(run) = runs.get_mut(lane) {
            run.push(delivery);
        }
    }
    runs
}

/// How long giving back may take: what is not given back comes back when its lease ends.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// Lets handlers finish within the limit, then stops them and gives back what they held.
async fn drain(work: &Work, limit: Duration, lease: Duration, lanes: &mut JoinSet<()>) {
    let finish = async { while lanes.join_next().await.is_some() {} };
    let in_time = tokio::select! {
        () = finish => true,
        () = work.clock.sleep(limit) => false,
    };
    if !in_time {
        tracing::warn!(group = %work.group, lanes = lanes.len(), ?limit, "handlers did not finish in time");
        lanes.shutdown().await;
    }
    // The lanes at the same time, each in its order.
    let mut lanes: HashMap<_, Vec<Receipt>> = HashMap::new();
    for receipt in work.held.drain() {
        lanes.entry((Arc::clone(&receipt.topic), Arc::clone(&receipt.key))).or_default().push(receipt);
    }
    let given_back = join_all(lanes.into_values().map(|lane| async move {
        for receipt in lane {
            // A refusal means that it is settled, or went back with an earlier one of its lane.
            if work.subscriber.settle(&receipt, Settlement::Release).await.is_ok() {
                work.control.counts.released.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }));
    if within(&*work.clock, lease.min(GIVING_BACK), given_back).await.is_none() {
        tracing::warn!(group = %work.group, "not everything could be given back; it comes back when its lease ends");
    }
}

async fn measure_lag(
    group: Arc<str>,
    subscriber: Arc<dyn Subscriber>,
    clock: Arc<dyn Clock>,
    control: Control,
) {
    loop {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 events are out of reach")]
        match subscriber.lag().await {
            Ok(lag) => {
                control.set_lag(lag);
                metrics::gauge!("pumasi_event_lag", "group" => group.to_string()).set(lag.unsettled as f64);
                metrics::gauge!("pumasi_event_dead_letters", "group" => group.to_string())
                    .set(lag.dead_letters as f64);
            }
            Err(error) => tracing::debug!(error = %error, group = %group, "the lag could not be measured"),
        }
        clock.sleep(LAG_PERIOD).await;
    }
}
