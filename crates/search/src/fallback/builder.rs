//! A fallback is put together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use pumasi_core::cache::SingleFlight;
use pumasi_core::resilience::{Random, RetryBudget};
use pumasi_core::time::{Clock, SystemClock};
use pumasi_core::{Error, ErrorKind, Result};

use super::cache::{AnswerCache, Scope};
use super::chain::Chain;
use super::clock::SteadyClock;
use super::tier::Tier;
use super::{Backend, Fallback, Inner};

/// What every backend of one fallback is called by.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) deadline: Duration,
    pub(super) slow_after: Duration,
    pub(super) shortest_hedge_delay: Duration,
    pub(super) longest_hedge_delay: Duration,
    pub(super) probe_every: Duration,
    pub(super) probe_lease: Duration,
    pub(super) extra_share: f64,
    pub(super) fresh_within: Duration,
    pub(super) breaker: bool,
    pub(super) hedge: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            slow_after: Duration::from_millis(100),
            shortest_hedge_delay: Duration::from_millis(10),
            longest_hedge_delay: Duration::from_millis(50),
            probe_every: Duration::from_secs(1),
            probe_lease: Duration::from_millis(500),
            extra_share: 0.05,
            fresh_within: Duration::from_secs(30),
            breaker: true,
            hedge: true,
            clock: Arc::new(SystemClock),
            random: Random::system(),
        }
    }
}

/// Puts a [`Fallback`] together; see there for the defaults. Nothing is called and nothing fails before
/// [`build`](Self::build), and that only if there is no primary.
#[must_use]
pub struct FallbackBuilder<Q, T> {
    name: Arc<str>,
    primary: Option<Arc<dyn Backend<Q, T>>>,
    fallbacks: Vec<Arc<dyn Backend<Q, T>>>,
    last_resort: Option<Arc<dyn Backend<Q, T>>>,
    cache: Option<AnswerCache<Q, T>>,
    settings: Settings,
}

impl<Q, T> FallbackBuilder<Q, T>
where
    Q: Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            primary: None,
            fallbacks: Vec::new(),
            last_resort: None,
            cache: None,
            settings: Settings::default(),
        }
    }

    /// Sets the backend whose whole answer is [`Fresh`](super::Served::Fresh).
    pub fn primary(mut self, backend: impl Backend<Q, T> + 'static) -> Self {
        self.primary = Some(Arc::new(backend));
        self
    }

    /// Adds a backend that is asked when the one before it fails, is spared or takes long; several are asked in their order.
    pub fn fallback(mut self, backend: impl Backend<Q, T> + 'static) -> Self {
        self.fallbacks.push(Arc::new(backend));
        self
    }

    /// Sets the backend that is asked last. Like whoever is last, it is asked whatever its health.
    pub fn last_resort(mut self, backend: impl Backend<Q, T> + 'static) -> Self {
        self.last_resort = Some(Arc::new(backend));
        self
    }

    /// Keeps fresh answers.
    pub fn cache(mut self, cache: AnswerCache<Q, T>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Keeps answers apart from those of another scope in the same cache.
    pub(crate) fn cache_within(mut self, scope: Scope) -> Self {
        self.cache = self.cache.map(|cache| cache.within(scope));
        self
    }

    /// Sets within what time a request is answered, or has failed (default 1 s).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Sets when a backend's call counts as slow, and another backend is asked even if the budget is used up (default
    /// 100 ms). Choose what a healthy backend exceeds in fewer than half of its calls.
    pub fn slow_after(mut self, after: Duration) -> Self {
        self.settings.slow_after = after;
        self
    }

    /// Sets how long a hedge waits at least (default 10 ms): the other backend's answer is the lesser one, and not worth having for
    /// a few milliseconds.
    pub fn shortest_hedge_delay(mut self, delay: Duration) -> Self {
        self.settings.shortest_hedge_delay = delay;
        self
    }

    /// Sets how long a hedge waits at most, and until the live latency is known (default 50 ms).
    pub fn longest_hedge_delay(mut self, delay: Duration) -> Self {
        self.settings.longest_hedge_delay = delay;
        self
    }

    /// Sets how long is waited between two probes of a backend that is spared (default 1 s, up to a fifth of it less by
    /// chance), and how long for the outcome of one (default half of that).
    pub fn probe_every(mut self, pause: Duration) -> Self {
        self.settings.probe_every = pause.max(Duration::from_millis(1));
        self.settings.probe_lease = self.settings.probe_every / 2;
        self
    }

    /// Sets which share of the requests may make an extra call, hedges and retries together (default 0.05).
    pub fn extra_calls(mut self, share: f64) -> Self {
        self.settings.extra_share = share;
        self
    }

    /// Sets how far the primary may say that it [lags](super::Answer::with_lag) behind the writes while its answers are still
    /// [`Fresh`](super::Served::Fresh) and cached (default 30 s); beyond that they are [`Degraded`](super::Served::Degraded), with
    /// the lag.
    pub fn fresh_within(mut self, lag: Duration) -> Self {
        self.settings.fresh_within = lag;
        self
    }

    pub(crate) const fn allowed_lag(&self) -> Duration {
        self.settings.fresh_within
    }

    pub(crate) fn kept_in(&self) -> Option<AnswerCache<Q, T>> {
        self.cache.clone()
    }

    /// Never spares a backend: to show by experiment what the breaker is good for.
    pub fn without_breaker(mut self) -> Self {
        self.settings.breaker = false;
        self
    }

    /// Never hedges: to show by experiment what the hedge is good for.
    pub fn without_hedge(mut self) -> Self {
        self.settings.hedge = false;
        self
    }

    /// Sets the clock (default: the system's).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Sets where jitter comes from (default: the system).
    pub fn random(mut self, random: Random) -> Self {
        self.settings.random = random;
        self
    }

    /// Puts it together. No backend is asked, so that a service starts while any of them is down.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no primary.
    pub fn build(mut self) -> Result<Fallback<Q, T>> {
        match self.primary.take() {
            Some(primary) => Ok(self.assemble(primary)),
            None => Err(Error::new(ErrorKind::InvalidInput, format!("{} has no primary backend", self.name))),
        }
    }

    pub(super) fn assemble(self, primary: Arc<dyn Backend<Q, T>>) -> Fallback<Q, T> {
        let settings = self.settings;
        let budget = RetryBudget::new(settings.extra_share, 1.0).with_clock(Arc::clone(&settings.clock));
        let tiers = std::iter::once(primary)
            .chain(self.fallbacks)
            .chain(self.last_resort)
            .map(|backend| Arc::new(Tier::new(&self.name, backend, &settings, &budget)))
            .collect();
        let (clock, fresh_within) = (Arc::clone(&settings.clock), settings.fresh_within);
        let chain = Chain { name: self.name, tiers, budget, clock, fresh_within };
        Fallback {
            inner: Arc::new(Inner {
                chain,
                cache: self.cache,
                flights: SingleFlight::new(),
                writes: AtomicU64::new(0),
                unheard: AtomicU64::new(0),
                deadline: settings.deadline,
                clock: SteadyClock::new(settings.clock),
            }),
        }
    }
}

impl<Q, T> Clone for FallbackBuilder<Q, T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            primary: self.primary.clone(),
            fallbacks: self.fallbacks.clone(),
            last_resort: self.last_resort.clone(),
            cache: self.cache.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<Q, T> fmt::Debug for FallbackBuilder<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBuilder")
            .field("name", &self.name)
            .field("primary", &self.primary.as_ref().map(|_| ".."))
            .field("fallbacks", &self.fallbacks.len())
            .field("deadline", &self.settings.deadline)
            .finish_non_exhaustive()
    }
}
