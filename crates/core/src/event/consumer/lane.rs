//! The work on the events of one lane: one after the other, each until it is settled.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tracing::Instrument;

use super::control::{Control, Counts, Shutdown};
use super::held::Held;
use super::meters::{self, Meters};
use super::out::{self, Out};
use super::{Handler, Policy};
use crate::event::{Context, Delivery, Reason, Settlement, Subscriber};
use crate::time::{Clock, FAR};
use crate::{Error, ErrorKind, Result, Retry};

/// How long an event that was taken ahead waits for a place before it is given back.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often an event that may have killed its process is tried with nothing else at work.
const ALONE: u32 = 3;

/// A handler that took this long has somebody take the next event while its own is being settled.
const SLOW: Duration = Duration::from_millis(1);

/// The lanes that wait for the store alone, after a handler that was slow: their places stand empty until others come.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    count: AtomicUsize,
    more: Notify,
}

impl Leaving {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until there is one more.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    fn begin(&self) -> impl Drop {
        struct End<'a>(&'a AtomicUsize);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.more.notify_one();
        End(&self.count)
    }
}

/// Whether an event is being tried alone: nothing is begun or taken meanwhile, and what was taken goes back.
#[derive(Debug)]
pub(super) struct Alone(watch::Sender<bool>);

/// It is alone for as long as this lives.
pub(super) struct OnlyOne<'a>(&'a Alone);

impl Default for Alone {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Alone {
    /// Begins, unless another one has.
    fn begin(&self) -> Option<OnlyOne<'_>> {
        self.0.send_if_modified(|begun| !std::mem::replace(begun, true)).then(|| OnlyOne(self))
    }

    fn is_begun(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) async fn until(&self, begun: bool) {
        let _ = self.0.subscribe().wait_for(|now| *now == begun).await;
    }
}

impl Drop for OnlyOne<'_> {
    fn drop(&mut self) {
        self.0.0.send_replace(false);
    }
}

/// What all lanes of a consumer share.
pub(super) struct Work {
    pub(super) group: Arc<str>,
    pub(super) subscriber: Arc<dyn Subscriber>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    /// How many handlers may be at work at once, with a place for each.
    pub(super) concurrency: NonZeroUsize,
    pub(super) places: Semaphore,
    pub(super) alone: Alone,
    pub(super) leaving: Leaving,
    pub(super) out: Arc<Out>,
    pub(super) meters: Meters,
    pub(super) held: Arc<Held>,
    pub(super) control: Control,
    pub(super) shutdown: Shutdown,
}

/// How an attempt ended.
enum Attempt {
    Returned(Result<()>),
    Panicked,
    LeaseLost,
}

/// Whether an event may begin.
enum Place<'a> {
    Free(SemaphorePermit<'a>),
    None,
    LeaseLost,
}

/// Whether the lane goes on with its next event.
#[derive(PartialEq)]
enum Lane {
    GoesOn,
    Stops,
}

/// Counts a handler as at work for as long as it lives, also when its task is aborted.
struct InFlight<'a>(&'a Work);

impl<'a> InFlight<'a> {
    fn begin(work: &'a Work) -> Self {
        work.control.counts.in_flight.fetch_add(1, Ordering::Relaxed);
        work.meters.in_flight.increment(1);
        Self(work)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.control.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.meters.in_flight.decrement(1);
    }
}

/// Where an event stands in the run of its lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Followed,
    Last,
}

impl Work {
    /// Works through the events of one lane, in order.
    pub(super) async fn run(self: Arc<Self>, run: Vec<Delivery>, lost: Shutdown, _out: out::Lane) {
        let settled = AssertUnwindSafe(self.work_through(&run, &lost)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(group = %self.group, "a lane ended by a panic; its events come back when their lease ends");
            0
        });
        // However it ended, nobody is at work on these: a heartbeat would keep them from coming back. What was settled is
        // held no more.
        for delivery in run.iter().skip(settled) {
            self.held.remove(&delivery.receipt);
        }
    }

    /// Returns how many of the run are settled.
    async fn work_through(&self, run: &[Delivery], lost: &Shutdown) -> usize {
        let mut settled = 0;
        for (at, delivery) in (1..).zip(run) {
            let turn = if at == run.len() { Turn::Last } else { Turn::Followed };
            let alone = if self.may_have_killed(delivery) { self.alone.begin() } else { None };
            let place = match &alone {
                Some(_) => self.every_place(lost).await,
                None if self.may_have_killed(delivery) => Place::None,
                None => self.place(lost).await,
            };
            let lane = match place {
                Place::Free(place) => self.attempt(delivery, turn, place, lost).await,
                // This gives back the later ones of the run as well.
                Place::None => self.settle(delivery, Settlement::Release, lost).await,
                Place::LeaseLost => Lane::Stops,
            };
            if lane == Lane::Stops {
                break;
            }
            settled = at;
        }
        settled
    }

    /// Tells whether an event was handed out so often, and never settled, that it may be what its processes died of.
    ///
    /// Most of those that were at work with it are innocent.
    fn may_have_killed(&self, delivery: &Delivery) -> bool {
        let max = self.policy.max_attempts;
        delivery.attempt > max && delivery.attempt <= max.saturating_add(ALONE.min(max - 1))
    }

    /// Waits until nothing else is at work or held, so that only this event is counted if the process dies of it.
    async fn every_place(&self, lost: &Shutdown) -> Place<'_> {
        let all = u32::try_from(self.concurrency.get()).unwrap_or(u32::MAX);
        let nobody_else = async {
            let places = self.places.acquire_many(all).await.ok();
            self.out.only_one().await;
            places
        };
        let places = tokio::select! {
            biased;
            () = lost.triggered() => return Place::LeaseLost,
            () = self.shutdown.triggered() => None,
            () = self.control.until(true) => None,
            places = nobody_else => places,
        };
        places.map_or(Place::None, Place::Free)
    }

    /// Waits for a place, unless nothing is to be begun any more, or for too long.
    async fn place(&self, lost: &Shutdown) -> Place<'_> {
        let goes_on = || !self.shutdown.is_triggered() && !self.control.is_paused() && !self.alone.is_begun();
        let place = match self.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) if !goes_on() => None,
            Err(_) => tokio::select! {
                biased;
                () = lost.triggered() => return Place::LeaseLost,
                () = self.shutdown.triggered() => None,
                () = self.control.until(true) => None,
                () = self.alone.until(true) => None,
                place = self.places.acquire() => place.ok(),
                () = self.clock.sleep(PATIENCE) => None,
            },
        };
        match place {
            _ if lost.is_triggered() => Place::LeaseLost,
            Some(place) if goes_on() => Place::Free(place),
            _ => Place::None,
        }
    }

    async fn attempt(
        &self,
        delivery: &Delivery,
        turn: Turn,
        place: SemaphorePermit<'_>,
        lost: &Shutdown,
    ) -> Lane {
        let span = self.span(delivery);
        if delivery.attempt > self.policy.max_attempts && !self.may_have_killed(delivery) {
            let reason = Reason::new(
                "attempts",
                format!("handed out {} times, and no attempt came to an end", delivery.attempt - 1),
            );
            return self.settle(delivery, Settlement::DeadLetter { reason }, lost).instrument(span).await;
        }
        let begun = self.clock.instant();
        let attempt = {
            let _in_flight = InFlight::begin(self);
            let work = Context::of(&delivery.event)
                .scope(async { self.handler.handle(delivery).await })
                .instrument(span.clone());
            let mut work = pin!(Some(AssertUnwindSafe(work).catch_unwind()));
            let ended = poll_fn(|context| match work.as_mut().as_pin_mut() {
                Some(work) => work.poll(context),
                None => Poll::Pending,
            });
            let attempt = tokio::select! {
                // The work first: one that is done at once needs neither a timer nor a watch.
                biased;
                ended = ended => match ended {
                    Ok(result) => Attempt::Returned(result),
                    Err(_) => Attempt::Panicked,
                },
                () = lost.triggered() => Attempt::LeaseLost,
                () = async { self.clock.sleep(self.policy.handler_limit).await } => Attempt::Returned(Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the handler was still at work after {:?}", self.policy.handler_limit),
                ))),
            };
            // What it holds is dropped here, and a destructor may panic as the handler may.
            match catch_unwind(AssertUnwindSafe(|| work.set(None))) {
                Err(_) if !matches!(attempt, Attempt::LeaseLost) => Attempt::Panicked,
                _ => attempt,
            }
        };
        // Whoever only waits for the store needs none.
        drop(place);
        let took = self.clock.instant().saturating_duration_since(begun);
        self.meters.seconds.record(took);
        let _leaving = (turn == Turn::Last && took >= SLOW).then(|| self.leaving.begin());
        let settlement = match attempt {
            Attempt::LeaseLost => {
                span.in_scope(|| tracing::warn!("the lease was lost; the event is with another member"));
                self.count("lost", |counts| &counts.lost);
                return Lane::Stops;
            }
            Attempt::Panicked => {
                self.count("panicked", |counts| &counts.panicked);
                self.failed(delivery, Reason::new("panic", "the handler panicked"), Retry::Now)
            }
            Attempt::Returned(Ok(())) => Settlement::Ack,
            Attempt::Returned(Err(error)) => self.failed(delivery, Reason::from(&error), error.retry()),
        };
        self.settle(delivery, settlement, lost).instrument(span).await
    }

    /// Decides between another attempt and a dead letter.
    fn failed(&self, delivery: &Delivery, reason: Reason, retry: Retry) -> Settlement {
        let asked = match retry {
            Retry::Never => return Settlement::DeadLetter { reason },
            _ if delivery.attempt >= self.policy.max_attempts => return Settlement::DeadLetter { reason },
            Retry::Now => Duration::ZERO,
            Retry::After(after) => after,
        };
        let after = self.policy.backoff.delay(delivery.attempt, &self.policy.random).max(asked).min(FAR);
        Settlement::Retry { after, reason }
    }

    /// Settles, however often the store has to be asked, while the lease lasts.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement, lost: &Shutdown) -> Lane {
        let mut tries = 0;
        loop {
            let error = match self.subscriber.settle(&delivery.receipt, settlement.clone()).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tries += 1;
            let again = error.retry().is_retryable() && !lost.is_triggered();
            tracing::warn!(error = %error, tries, again, "a delivery could not be settled");
            if !again {
                self.held.remove(&delivery.receipt);
                self.count("lost", |counts| &counts.lost);
                return Lane::Stops;
            }
            tokio::select! {
                () = lost.triggered() => {}
                () = self.clock.sleep(self.policy.store_backoff.delay(tries, &self.policy.random)) => {}
            }
        }
        self.held.remove(&delivery.receipt);
        match settlement {
            Settlement::Ack => {
                self.count("handled", |counts| &counts.handled);
                Lane::GoesOn
            }
            Settlement::DeadLetter { reason } => {
                tracing::error!(reason = %reason, attempts = delivery.attempt, "an event was put aside");
                self.count("dead_lettered", |counts| &counts.dead_lettered);
                Lane::GoesOn
            }
            Settlement::Retry { after, reason } => {
                tracing::warn!(reason = %reason, attempt = delivery.attempt, ?after, "an attempt failed");
                self.count("retried", |counts| &counts.retried);
                Lane::Stops
            }
            Settlement::Release => {
                self.count("released", |counts| &counts.released);
                Lane::Stops
            }
        }
    }

    fn count(&self, outcome: &'static str, field: impl FnOnce(&Counts) -> &AtomicU64) {
        field(&self.control.counts).fetch_add(1, Ordering::Relaxed);
        if outcome == "handled" {
            self.meters.handled.increment(1);
        } else {
            meters::outcome(&self.group, outcome).increment(1);
        }
    }

    /// The span of one attempt: where the event comes from and who caused it, nothing of what it says.
    fn span(&self, delivery: &Delivery) -> tracing::Span {
        let event = &delivery.event;
        let span = tracing::info_span!(
            "event.handle",
            otel.kind = "consumer",
            group = %self.group,
            topic = %event.topic,
            event.id = %event.id,
            event.state = event.state.as_str(),
            event.version = event.version,
            attempt = delivery.attempt,
            trace_id = tracing::field::Empty,
            parent_id = tracing::field::Empty,
            actor.id = tracing::field::Empty,
            actor.role = tracing::field::Empty,
        );
        if let Some(trace) = &event.trace {
            span.record("trace_id", trace.trace_id());
            span.record("parent_id", trace.parent_id());
        }
        if let Some(actor) = &event.actor {
            span.record("actor.id", actor.id.as_str());
            if let Some(role) = &actor.role {
                span.record("actor.role", role.as_str());
            }
        }
        span
    }
}
