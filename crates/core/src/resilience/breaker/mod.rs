//! A breaker that sees calls that hang and calls that are given up.

mod calls;
mod machine;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::machine::{Config, End, Machine, Ticket};
pub use self::window::{BreakerCounts, BreakerWindow};
use super::ticks::Ticks;
use super::{Backoff, Jitter, Random, Retryable, Verdict};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result, Retry};

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// It lets them through and counts.
    Closed,
    /// It turns them away.
    Open,
    /// It lets a few through to see whether the callee is back.
    HalfOpen,
}

impl BreakerState {
    /// Names the state in `snake_case`, as metrics carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How a call counts whose future was dropped before it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// As slow once it has lasted as long as a slow call, and not at all before: a caller's deadline counts, the cancelled
    /// half of a hedge does not. The default.
    #[default]
    ByAge,
    /// As a failure, at any age: for callers that drop calls only at their deadline.
    Failure,
    /// Not at all, and one that was counted as slow while it ran is taken back: for calls that are dropped as a rule.
    Neutral,
}

/// Turns calls away while their callee is in trouble, so that they fail at once and the callee can recover.
///
/// In async Rust a caller's deadline *drops* the call. A breaker that counts when a call completes therefore never learns of
/// a callee that takes calls and does not answer, the commonest outage there is. This one counts
///
/// - calls that **fail**, as their error's [verdict](Retryable::verdict) says;
/// - calls that **are slow**, as soon as they are: one that still runs after `slow_after` counts from then on;
/// - calls that **are dropped**, by their age ([`Dropped`]).
///
/// So `slow_after` is the one number it must be given: put it beneath the callers' deadline.
///
/// | setting | default |
/// |---|---|
/// | window | the last 100 calls |
/// | minimum throughput: calls in the window before it may open | 10 |
/// | failure rate, slow rate: the share at which it opens | 50 % each |
/// | open for | 5 s, doubling up to 1 min at each failed recovery, half of it jitter |
/// | probes: calls that are let through to see whether the callee is back | 3 |
/// | lease of a probe: how long its result is waited for | `slow_after` |
/// | dropped calls | [`Dropped::ByAge`] |
///
/// What it promises:
///
/// 1. While it is half open, no more calls are let through than there are probes, however many come at once.
/// 2. A probe holds a *lease*: one that hangs has failed when its lease ends, and one that is dropped early gives its place
///    to the next caller. Nothing wedges it.
/// 3. It reopens as soon as the probes' failures or slow calls reach their rate, counted against all the probes, and
///    closes when all have reported otherwise.
/// 4. What a call reports that began before the last change of state is ignored.
/// 5. A call counts once: slow when it becomes so, and failed too if that is how it ends.
/// 6. It needs no task and no timer: time is looked at when a call begins or ends or its state is asked for. Each takes
///    constant time (amortised), and memory is bounded by the calls in flight and the window.
///
/// A turned-away call gets [`ErrorKind::CircuitOpen`] with [`Retry::After`] the time until the next probe. Clones share the
/// state.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::{Error, ErrorKind};
/// use pumasi_core::resilience::{BreakerState, CircuitBreaker};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let breaker = CircuitBreaker::new("search", Duration::from_millis(500));
///
/// // a callee that takes calls and never answers; the deadline is the caller's, outside
/// for _ in 0..10 {
///     let call = breaker.call(std::future::pending::<Result<(), Error>>());
///     assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
///
/// let error = breaker.call(async { Ok::<_, Error>("never made") }).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::CircuitOpen);
/// assert!(error.retry().is_retryable());
/// # });
/// ```
///
/// The metrics are `pumasi_breaker_changes_total{name, to}`, `pumasi_breaker_state{name}` (a gauge: 0 closed, 1 half open,
/// 2 open) and `pumasi_breaker_rejections_total{name}`.
#[derive(Clone)]
pub struct CircuitBreaker {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    config: Config,
    ticks: Ticks,
    machine: Mutex<Machine>,
}

impl CircuitBreaker {
    /// Makes a closed breaker for calls of `name`, which are slow from `slow_after` on.
    ///
    /// Put `slow_after` beneath the callers' deadline, or a callee that hangs is not seen.
    pub fn new(name: impl Into<Arc<str>>, slow_after: Duration) -> Self {
        let config = Config {
            window: BreakerWindow::Calls(NonZeroU32::MIN.saturating_add(99)),
            minimum_throughput: 10,
            failure_rate: 0.5,
            slow_after,
            slow_rate: 0.5,
            probes: 3,
            probe_lease: None,
            open_for: Backoff::new(Duration::from_secs(5), Duration::from_mins(1)).with_jitter(Jitter::Equal),
            dropped: Dropped::ByAge,
            random: Random::system(),
        };
        Self::build(name.into(), config, Ticks::default())
    }

    fn build(name: Arc<str>, config: Config, ticks: Ticks) -> Self {
        let machine = Mutex::new(Machine::new(config.clone(), ticks.instant()));
        show(&name, BreakerState::Closed);
        Self { inner: Arc::new(Inner { name, config, ticks, machine }) }
    }

    fn rebuild(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.inner.config.clone();
        change(&mut config);
        Self::build(Arc::clone(&self.inner.name), config, self.inner.ticks.clone())
    }

    /// Sets which calls are looked back on (default: the last 100).
    #[must_use]
    pub fn with_window(self, window: BreakerWindow) -> Self {
        self.rebuild(|config| config.window = window)
    }

    /// Sets how many calls the window must hold before it may open (default 10).
    ///
    /// More than a window of calls can hold count as all that it can hold.
    #[must_use]
    pub fn with_minimum_throughput(self, calls: u32) -> Self {
        self.rebuild(|config| config.minimum_throughput = calls)
    }

    /// Sets the share of failed calls at which it opens, from 0 to 1 (default 0.5); above 1 it never does.
    #[must_use]
    pub fn with_failure_rate(self, rate: f64) -> Self {
        self.rebuild(|config| config.failure_rate = sensible(rate))
    }

    /// Sets the share of slow calls at which it opens, from 0 to 1 (default 0.5); above 1 it never does.
    #[must_use]
    pub fn with_slow_rate(self, rate: f64) -> Self {
        self.rebuild(|config| config.slow_rate = sensible(rate))
    }

    /// Sets for how long it stays open: the first time, and after each recovery that failed (default 5 s to 1 min).
    ///
    /// [`Jitter::Equal`] keeps many instances from probing at the same moment without making the first wait nearly zero.
    #[must_use]
    pub fn with_open_for(self, backoff: Backoff) -> Self {
        self.rebuild(|config| config.open_for = backoff)
    }

    /// Sets how many calls are let through to see whether the callee is back (default 3).
    #[must_use]
    pub fn with_probes(self, probes: NonZeroU32) -> Self {
        self.rebuild(|config| config.probes = probes.get())
    }

    /// Sets how long the result of a probe is waited for before it has failed (default: as long as a slow call takes).
    #[must_use]
    pub fn with_probe_lease(self, lease: Duration) -> Self {
        self.rebuild(|config| config.probe_lease = Some(lease))
    }

    /// Sets how dropped calls count (default [`Dropped::ByAge`]).
    #[must_use]
    pub fn with_dropped(self, dropped: Dropped) -> Self {
        self.rebuild(|config| config.dropped = dropped)
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::build(Arc::clone(&self.inner.name), self.inner.config.clone(), Ticks::Of(clock))
    }

    /// Sets where the jitter of the open time comes from (default: the system).
    #[must_use]
    pub fn with_random(self, random: Random) -> Self {
        self.rebuild(|config| config.random = random)
    }

    /// Makes a call if the state allows, and counts how it ends, or that it does not.
    ///
    /// # Errors
    /// [`ErrorKind::CircuitOpen`] if the call was not made; otherwise the call's own.
    pub async fn call<T, E, Fut>(&self, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        self.call_if(call, |outcome| outcome.as_ref().map_or_else(Retryable::verdict, |_| Verdict::Success))
            .await
    }

    /// Makes a call if the state allows, and lets `verdict` say how its outcome counts.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_if<T, E, Fut, V>(&self, call: Fut, verdict: V) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
        V: FnOnce(&Result<T, E>) -> Verdict,
    {
        let permit = self.try_acquire()?;
        let outcome = call.await;
        permit.record(verdict(&outcome));
        outcome
    }

    /// Gives leave for a call that is no single future: say with [`BreakerPermit::record`] how it ended.
    ///
    /// # Errors
    /// [`ErrorKind::CircuitOpen`], with [`Retry::After`], if the call must not be made.
    pub fn try_acquire(&self) -> Result<BreakerPermit, Error> {
        self.permit(Machine::admit)
    }

    /// Gives leave for a call while the circuit is closed, and never for a probe: for callers who leave it to somebody else,
    /// who asks [`try_acquire`](Self::try_acquire), to find out whether the callee is back.
    ///
    /// So no request of a user is the one that the callee is tried out with.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire), in the half-open state too.
    pub fn try_acquire_closed(&self) -> Result<BreakerPermit, Error> {
        self.permit(Machine::admit_closed)
    }

    fn permit(
        &self,
        admit: impl FnOnce(&mut Machine, Instant) -> Result<Ticket, Duration>,
    ) -> Result<BreakerPermit, Error> {
        match self.machine(admit) {
            Ok(ticket) => Ok(BreakerPermit { inner: Arc::clone(&self.inner), ticket: Some(ticket) }),
            Err(wait) => Err(self.rejection(wait)),
        }
    }

    /// Tells whether a call would be turned away now, without asking leave for one: before joining a queue.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn check(&self) -> Result<(), Error> {
        match self.machine(Machine::check) {
            None => Ok(()),
            Some(wait) => Err(self.rejection(wait)),
        }
    }

    /// Returns the state at this moment.
    pub fn state(&self) -> BreakerState {
        self.machine(Machine::state)
    }

    /// Returns what was counted in the window, or of the probes while it is half open.
    pub fn counts(&self) -> BreakerCounts {
        self.machine(|machine, now| {
            machine.state(now);
            machine.counts()
        })
    }

    /// Returns the name that errors and metrics carry.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Opens it, as an operator may wish; it recovers by its probes as usual.
    pub fn trip(&self) {
        self.machine(Machine::trip);
    }

    /// Closes it and forgets what was counted.
    pub fn reset(&self) {
        self.machine(Machine::reset);
    }

    fn machine<R>(&self, with: impl FnOnce(&mut Machine, Instant) -> R) -> R {
        self.inner.machine(with)
    }

    fn rejection(&self, wait: Duration) -> Error {
        let name = &self.inner.name;
        metrics::counter!("pumasi_breaker_rejections_total", "name" => Arc::clone(name)).increment(1);
        Error::new(ErrorKind::CircuitOpen, format!("the circuit to {name} is open"))
            .with_retry(Retry::After(wait))
    }
}

impl Inner {
    fn machine<R>(&self, with: impl FnOnce(&mut Machine, Instant) -> R) -> R {
        let now = self.ticks.instant();
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = with(&mut machine, now);
        let changes = machine.take_changes();
        drop(machine);
        for change in changes {
            self.report(change);
        }
        outcome
    }

    fn report(&self, change: machine::Change) {
        let to = change.to.as_str();
        metrics::counter!("pumasi_breaker_changes_total", "name" => Arc::clone(&self.name), "to" => to)
            .increment(1);
        show(&self.name, change.to);
        let machine::Change { counts: BreakerCounts { calls, failed, slow }, open_for, .. } = change;
        tracing::warn!(name = &*self.name, to, calls, failed, slow, ?open_for, "the circuit changed");
    }
}

/// Sets the gauge. A breaker that has never changed shows itself, too.
fn show(name: &Arc<str>, state: BreakerState) {
    let level = match state {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    };
    metrics::gauge!("pumasi_breaker_state", "name" => Arc::clone(name)).set(level);
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.inner.name)
            .field("state", &self.state())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn sensible(rate: f64) -> f64 {
    if rate.is_nan() { 1.0 } else { rate.max(0.0) }
}

/// Leave for one call.
///
/// Dropped without a record it counts as [dropped](Dropped); while unwinding from a panic, as a failure.
#[must_use = "a permit that is dropped counts as a dropped call"]
pub struct BreakerPermit {
    inner: Arc<Inner>,
    ticket: Option<Ticket>,
}

impl BreakerPermit {
    /// Records how the call ended.
    pub fn record(mut self, verdict: Verdict) {
        self.finish(End::Verdict(verdict));
    }

    fn finish(&mut self, end: End) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.machine(|machine, now| machine.finish(ticket, now, end));
        }
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { End::Verdict(Verdict::Failure) } else { End::Dropped };
        self.finish(end);
    }
}

impl fmt::Debug for BreakerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerPermit").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
