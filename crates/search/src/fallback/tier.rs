//! One backend with what is known of its health.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::select;
use pumasi_core::resilience::{
    Backoff, BreakerPermit, BreakerState, BreakerWindow, CircuitBreaker, Hedge, Random, RetryBudget, Verdict,
    within,
};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};

use super::builder::Settings;
use super::{Answer, Backend};

/// How soon after it was closed a circuit has to open again to count as flapping.
const STEADY: Duration = Duration::from_secs(10);

/// For how long a backend that flaps has to do well, at most.
const LONGEST_HOLD: Duration = Duration::from_mins(1);

/// How often a backend that flaps is tried out in that time, at least: one that fails half of its calls does well in all of them
/// once in a thousand times.
const TRIES: u32 = 10;

pub(super) struct Tier<Q, T> {
    pub(super) backend: Arc<dyn Backend<Q, T>>,
    pub(super) label: Arc<str>,
    pub(super) hedge: Hedge,
    pub(super) slow_after: Duration,
    breaker: CircuitBreaker,
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    random: Random,
    probe_every: Duration,
    probe_lease: Duration,
    probing: AtomicBool,
    /// Tells the prober that somebody waits for it.
    hurry: Arc<Notify>,
    /// Changes when a prober ends, as it does when the circuit is closed.
    ended: watch::Sender<()>,
    recovery: Mutex<Recovery>,
}

impl<Q, T> Tier<Q, T>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
{
    pub(super) fn new(
        name: &Arc<str>,
        backend: Arc<dyn Backend<Q, T>>,
        settings: &Settings,
        budget: &RetryBudget,
    ) -> Self {
        let label: Arc<str> = backend.name().into();
        let full: Arc<str> = format!("{name}/{label}").into();
        let never = 2.0;
        let rate = if settings.breaker { 0.5 } else { never };
        let window = BreakerWindow::Calls(NonZeroU32::MIN.saturating_add(19));
        let breaker = CircuitBreaker::new(Arc::clone(&full), settings.slow_after)
            .with_window(window)
            .with_minimum_throughput(5)
            .with_failure_rate(rate)
            .with_slow_rate(rate)
            .with_probes(NonZeroU32::MIN)
            .with_probe_lease(settings.probe_lease.saturating_mul(2))
            // shorter than any pause between probes, which are the prober's to time
            .with_open_for(Backoff::constant(settings.probe_every / 4))
            .with_clock(Arc::clone(&settings.clock));
        let hedge = if settings.hedge {
            Hedge::at_percentile(full, 0.95, settings.longest_hedge_delay)
                .with_shortest_delay(settings.shortest_hedge_delay)
                .with_longest_delay(settings.longest_hedge_delay)
                .with_failover_after(settings.slow_after)
        } else {
            Hedge::after(full, Duration::from_hours(24))
        };
        let hedge = hedge.with_budget(budget.clone()).with_clock(Arc::clone(&settings.clock));
        Self {
            backend,
            label,
            hedge,
            slow_after: settings.slow_after,
            breaker,
            name: Arc::clone(name),
            clock: Arc::clone(&settings.clock),
            random: settings.random.clone(),
            probe_every: settings.probe_every,
            probe_lease: settings.probe_lease,
            probing: AtomicBool::new(false),
            hurry: Arc::default(),
            ended: watch::Sender::new(()),
            recovery: Mutex::new(Recovery::default()),
        }
    }

    /// Gives leave for a user's call: only while the circuit is closed.
    pub(super) fn admit(&self) -> Result<BreakerPermit> {
        self.breaker.try_acquire_closed()
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(super) fn trip(&self) {
        self.breaker.trip();
    }

    pub(super) async fn call(&self, request: Q, deadline: Instant) -> Result<Answer<T>> {
        let left = deadline.saturating_duration_since(self.clock.instant());
        self.guarded(self.backend.call(request, left)).await
    }

    /// Makes a panic of the backend a failure, so that it costs neither its caller nor those who wait for the same answer.
    async fn guarded<R>(&self, call: impl Future<Output = Result<R>>) -> Result<R> {
        AssertUnwindSafe(call)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, format!("{} panicked", self.label))))
    }

    /// Sees to it that somebody tries the backend out while its circuit is not closed.
    pub(super) fn watch(self: &Arc<Self>, sample: &Q) {
        if self.breaker.state() == BreakerState::Closed || self.probing.swap(true, Ordering::SeqCst) {
            return;
        }
        let leave = Leave(Arc::downgrade(self));
        self.recovery().opened(self.clock.instant(), self.probe_every);
        tokio::spawn(probe_until_closed(leave, sample.clone()));
    }

    /// Has the backend tried out before its turn: it is needed, as those behind it do not answer.
    pub(super) fn hurry(self: &Arc<Self>, sample: &Q) {
        if self.state() != BreakerState::Closed {
            self.watch(sample);
            self.hurry.notify_one();
        }
    }

    /// Waits, with the prober in a hurry, until users are let in.
    pub(super) async fn let_in(self: &Arc<Self>, sample: &Q) -> BreakerPermit {
        let mut ended = self.ended.subscribe();
        loop {
            if let Ok(permit) = self.admit() {
                return permit;
            }
            self.hurry(sample);
            let _alive = ended.changed().await;
        }
    }

    /// For how long probes have to go well before users are let in again.
    fn hold(&self) -> Duration {
        self.recovery().hold
    }

    /// How long to wait for the next probe: for a turn of its own, and for one that somebody waits for.
    fn pauses(&self) -> (Duration, Duration) {
        let hold = self.hold();
        let pause = if hold.is_zero() { self.probe_every } else { self.probe_every.min(hold / TRIES) };
        // many processes that lost the same backend should not ask it in step
        let pause = pause.mul_f64(1.0 - 0.2 * self.random.unit());
        (pause, pause.min(self.probe_every / 4))
    }

    async fn probe(&self, sample: Q) -> Result<()> {
        let probe = self.guarded(self.backend.probe(sample, self.probe_lease));
        let outcome = within(&*self.clock, self.probe_lease, probe).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, format!("{} did not answer a probe", self.label)))
        });
        let result = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!(
            "pumasi_fallback_probes_total",
            "name" => Arc::clone(&self.name), "backend" => Arc::clone(&self.label), "outcome" => result
        )
        .increment(1);
        outcome
    }

    fn recovery(&self) -> std::sync::MutexGuard<'_, Recovery> {
        self.recovery.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, T> std::fmt::Debug for Tier<Q, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier")
            .field("backend", &self.label)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// Keeps a backend that comes and goes from being let in each time it comes.
#[derive(Debug, Default)]
struct Recovery {
    closed: Option<Instant>,
    hold: Duration,
}

impl Recovery {
    /// The first hold and a pause before it fit into two pauses of the prober: whoever does well again is back as soon as without.
    fn opened(&mut self, now: Instant, probe_every: Duration) {
        let flaps = self.closed.is_some_and(|closed| now.saturating_duration_since(closed) < STEADY);
        let first = probe_every.saturating_add(probe_every / 4);
        let longer = self.hold.saturating_mul(2).min(LONGEST_HOLD);
        self.hold = if flaps { longer.max(first) } else { Duration::ZERO };
    }
}

/// The one place for a prober, given back however it ends, with its runtime too.
struct Leave<Q, T>(Weak<Tier<Q, T>>);

impl<Q, T> Drop for Leave<Q, T> {
    fn drop(&mut self) {
        if let Some(tier) = self.0.upgrade() {
            tier.probing.store(false, Ordering::SeqCst);
            tier.ended.send_replace(());
        }
    }
}

/// Tries a backend out until its circuit is closed, or nobody is left who would call it.
async fn probe_until_closed<Q, T>(leave: Leave<Q, T>, sample: Q)
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
{
    let mut well_since: Option<Instant> = None;
    loop {
        let Some(tier) = leave.0.upgrade() else { return };
        let (clock, hurry) = (Arc::clone(&tier.clock), Arc::clone(&tier.hurry));
        let (pause, least) = tier.pauses();
        drop(tier);
        clock.sleep(least).await;
        select(clock.sleep(pause.saturating_sub(least)), pin!(hurry.notified())).await;
        let Some(tier) = leave.0.upgrade() else { return };
        if tier.breaker.state() == BreakerState::Closed {
            return;
        }
        let now = clock.instant();
        let held = well_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let well = if held < tier.hold() {
            tier.probe(sample.clone()).await.is_ok()
        } else {
            // the last one is the breaker's own probe, whose number says to which opening it belongs
            let Ok(permit) = tier.breaker.try_acquire() else { continue };
            let outcome = tier.probe(sample.clone()).await;
            permit.record(if outcome.is_ok() { Verdict::Success } else { Verdict::Failure });
            outcome.is_ok()
        };
        well_since = if well { well_since.or(Some(now)) } else { None };
        if tier.breaker.state() == BreakerState::Closed {
            tier.recovery().closed = Some(tier.clock.instant());
            return;
        }
    }
}
