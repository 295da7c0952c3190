//! A limit of requests and tokens per minute.

mod line;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use self::line::{Amount, Dues, Line, Rates};
use crate::time::{Clock, SystemClock, after};
use crate::{Error, ErrorKind, Retry};

/// Keeps calls beneath so many requests, and so many tokens, per minute.
///
/// Both are token buckets that fill steadily and start full, the way OpenAI and Anthropic describe their own limits. A call
/// reserves one request and its *estimated* tokens before it is made, waits in order of arrival until both are there,
/// and is [reconciled](RateReservation::reconcile) with what it really used: what was not used comes back at once and
/// shortens the wait of those in line, what was used beyond the estimate delays later calls. Clones share the limit.
///
/// What it promises:
///
/// 1. In any span of time, what is let through is at most the burst plus the rate times the span.
/// 2. Callers are served in the order of arrival; a small one does not overtake a big one.
/// 3. A caller that leaves while it waits gives back what it reserved, and those behind it move up.
/// 4. Nobody waits longer than the longest wait: a call that would have to is turned away at once, or when a pause is asked
///    for that it cannot sit out, or in its turn if others then used more than they had reserved, and is told when to come
///    back. One that is larger than the burst could never pass and is
///    refused as invalid.
///
/// ```
/// use std::num::{NonZeroU32, NonZeroU64};
/// use pumasi_core::{Error, resilience::RateLimit};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let limit = RateLimit::per_minute("openai", NonZeroU32::new(500).unwrap())
///     .with_tokens_per_minute(NonZeroU64::new(200_000).unwrap());
///
/// let reservation = limit.acquire(1_800).await?; // the prompt and the longest answer allowed
/// // … the call; its answer says how many tokens it took …
/// reservation.reconcile(1_150);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// Each of these costs O(log n), however many wait; only a pause wakes them all.
///
/// The metrics are `pumasi_rate_limit_wait_seconds{name}` (a histogram) and `pumasi_rate_limit_rejections_total{name}`.
#[derive(Clone)]
pub struct RateLimit {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    config: Config,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct Config {
    requests_per_minute: u32,
    tokens_per_minute: Option<u64>,
    request_burst: u32,
    token_burst: Option<u64>,
    max_wait: Duration,
}

struct State {
    requests: Bucket,
    tokens: Option<Bucket>,
    not_before: Instant,
    line: Line,
}

impl State {
    /// When the caller at `place` may pass.
    fn due(&self, place: u64) -> Instant {
        self.line.due(place).map_or(self.not_before, |due| due.max(self.not_before))
    }
}

/// A token bucket that may be in debt: whoever reserves takes at once and waits until the debt is paid.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_minute: f64, capacity: f64, now: Instant) -> Self {
        Self { capacity, per_second: per_minute / 60.0, level: capacity, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        self.at = self.at.max(now);
    }

    /// Tells how long it takes until `cost` is there.
    fn wait(&self, cost: f64) -> Duration {
        // a float's rounding must not cost a caller a nanosecond's sleep
        let missing = cost - self.level;
        if missing <= self.capacity * 1e-12 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX)
    }

    fn give_back(&mut self, amount: f64) {
        self.level = (self.level + amount).min(self.capacity);
    }
}

impl RateLimit {
    /// Makes a limit of `requests` of `name` per minute, which may all come at once.
    pub fn per_minute(name: impl Into<Arc<str>>, requests: NonZeroU32) -> Self {
        let config = Config {
            requests_per_minute: requests.get(),
            tokens_per_minute: None,
            request_burst: requests.get(),
            token_burst: None,
            max_wait: Duration::from_mins(1),
        };
        Self::build(name.into(), config, Arc::new(SystemClock))
    }

    /// Limits the tokens (or whatever else calls are weighed by) per minute too; they may all be used at once.
    #[must_use]
    pub fn with_tokens_per_minute(self, tokens: NonZeroU64) -> Self {
        self.rebuild(|config| config.tokens_per_minute = Some(tokens.get()))
    }

    /// Sets how many requests may come at once after a pause (default: a minute's worth).
    #[must_use]
    pub fn with_request_burst(self, requests: NonZeroU32) -> Self {
        self.rebuild(|config| config.request_burst = requests.get())
    }

    /// Sets how many tokens may be used at once after a pause (default: a minute's worth).
    #[must_use]
    pub fn with_token_burst(self, tokens: NonZeroU64) -> Self {
        self.rebuild(|config| config.token_burst = Some(tokens.get()))
    }

    /// Sets the longest wait (default 60 s); zero turns away whatever cannot pass at once.
    #[must_use]
    pub fn with_max_wait(self, longest: Duration) -> Self {
        self.rebuild(|config| config.max_wait = longest)
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::build(Arc::clone(&self.inner.name), self.inner.config, clock)
    }

    fn rebuild(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.inner.config;
        change(&mut config);
        Self::build(Arc::clone(&self.inner.name), config, Arc::clone(&self.inner.clock))
    }

    fn build(name: Arc<str>, config: Config, clock: Arc<dyn Clock>) -> Self {
        let now = clock.instant();
        let requests =
            Bucket::new(f64::from(config.requests_per_minute), f64::from(config.request_burst), now);
        let tokens = config
            .tokens_per_minute
            .map(|tokens| Bucket::new(weight(tokens), weight(config.token_burst.unwrap_or(tokens)), now));
        let line = Line::new(Rates {
            requests_per_second: requests.per_second,
            tokens_per_second: tokens.map(|bucket| bucket.per_second),
        });
        let state = State { requests, tokens, not_before: now, line };
        Self { inner: Arc::new(Inner { name, config, clock, state: Mutex::new(state) }) }
    }

    /// Waits until one request of an estimated `tokens` may be made, and reserves it.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`], with [`Retry::After`], if the wait would exceed the longest one;
    /// [`ErrorKind::InvalidInput`] if `tokens` exceeds the burst, so that the call could never pass.
    pub async fn acquire(&self, tokens: u64) -> Result<RateReservation, Error> {
        let longest = self.inner.config.max_wait;
        let begun = self.inner.clock.instant();
        let mut reservation = self.reserve(tokens, longest)?;
        loop {
            let now = self.inner.clock.instant();
            let due = self.lock().due(reservation.place);
            let pause = due.saturating_duration_since(now);
            let waited = now.saturating_duration_since(begun);
            if pause.is_zero() {
                if !waited.is_zero() {
                    metrics::histogram!("pumasi_rate_limit_wait_seconds", "name" => Arc::clone(&self.inner.name))
                        .record(waited.as_secs_f64());
                }
                break;
            }
            if waited.saturating_add(pause) > longest {
                return Err(self.rejection(pause)); // what was reserved goes back with the reservation
            }
            let mut sleep = self.inner.clock.sleep_until(due);
            poll_fn(|context| {
                let mut state = self.lock();
                if state.due(reservation.place) != due {
                    return Poll::Ready(());
                }
                state.line.sleep(reservation.place, due, context.waker().clone());
                drop(state);
                sleep.as_mut().poll(context)
            })
            .await;
        }
        reservation.pass();
        Ok(reservation)
    }

    /// Reserves one request of an estimated `tokens` if it may be made at once.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire) with a longest wait of zero.
    pub fn try_acquire(&self, tokens: u64) -> Result<RateReservation, Error> {
        let mut reservation = self.reserve(tokens, Duration::ZERO)?;
        reservation.pass();
        Ok(reservation)
    }

    /// Runs a call of an estimated `tokens` that answers with what it really used.
    ///
    /// A call that fails keeps its estimate, because it may have been counted by the callee.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); otherwise the call's own.
    pub async fn run<T, E, Fut>(&self, tokens: u64, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<(T, u64), E>>,
        E: From<Error>,
    {
        let reservation = self.acquire(tokens).await?;
        let (value, used) = call.await?;
        reservation.reconcile(used);
        Ok(value)
    }

    /// Lets nothing through for `duration`: for a callee that answered "too many requests" all the same.
    ///
    /// Calls that wait already wait on; a shorter pause does not cut a longer one.
    pub fn pause(&self, duration: Duration) {
        let now = self.inner.clock.instant();
        let mut state = self.lock();
        let until = after(now, duration);
        if until > state.not_before {
            state.not_before = until;
            state.line.wake_all(); // whoever cannot sit it out is turned away now
        }
    }

    fn reserve(&self, tokens: u64, longest: Duration) -> Result<RateReservation, Error> {
        let Inner { name, .. } = &*self.inner;
        let now = self.inner.clock.instant();
        let mut state = self.lock();
        let cost = weight(tokens);
        if let Some(bucket) = state.tokens.as_ref().filter(|bucket| cost > bucket.capacity) {
            let message = format!(
                "a call of {tokens} tokens to {name} exceeds the limit's burst of {}",
                bucket.capacity
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        state.requests.refill(now);
        let by_requests = state.requests.wait(1.0);
        let by_tokens = state.tokens.as_mut().map_or(Duration::ZERO, |bucket| {
            bucket.refill(now);
            bucket.wait(cost)
        });
        let wait = by_requests.max(by_tokens).max(state.not_before.saturating_duration_since(now));
        if wait > longest {
            drop(state);
            return Err(self.rejection(wait));
        }
        state.requests.level -= 1.0;
        if let Some(bucket) = &mut state.tokens {
            bucket.level -= cost;
        }
        let dues = Dues { by_requests: after(now, by_requests), by_tokens: after(now, by_tokens) };
        let place = state.line.join(dues);
        drop(state);
        Ok(RateReservation { limit: self.clone(), tokens, place, passed: false })
    }

    fn rejection(&self, wait: Duration) -> Error {
        let Inner { name, config, .. } = &*self.inner;
        metrics::counter!("pumasi_rate_limit_rejections_total", "name" => Arc::clone(name)).increment(1);
        let Config { requests_per_minute, .. } = config;
        let message = match config.tokens_per_minute {
            Some(tokens) => format!(
                "the limit of {requests_per_minute} requests and {tokens} tokens a minute for {name} is reached"
            ),
            None => format!("the limit of {requests_per_minute} requests a minute for {name} is reached"),
        };
        Error::new(ErrorKind::Overloaded, message).with_retry(Retry::After(wait))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.inner.name)
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens of a minute stay far below 2^52")]
const fn amount(tokens: i128) -> f64 {
    tokens as f64
}

fn weight(tokens: u64) -> f64 {
    amount(tokens.into())
}

/// Leave for one call, with the tokens it is expected to use.
///
/// Dropped without being reconciled, it leaves the estimate standing.
#[derive(Debug)]
#[must_use = "reconcile it with what the call really used"]
pub struct RateReservation {
    limit: RateLimit,
    tokens: u64,
    /// Its place in the order of arrival.
    place: u64,
    passed: bool,
}

impl RateReservation {
    /// Returns the estimate that was reserved.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Corrects the estimate to what the call used.
    ///
    /// What it used beyond the estimate counts up to a burst: a callee that writes nonsense for it delays others by no more.
    pub fn reconcile(self, used: u64) {
        let now = self.limit.inner.clock.instant();
        let mut back = i128::from(self.tokens) - i128::from(used);
        let Config { tokens_per_minute, token_burst, .. } = self.limit.inner.config;
        let burst = token_burst.or(tokens_per_minute).unwrap_or_default();
        back = back.max(-i128::from(burst));
        let mut state = self.limit.lock();
        if let Some(bucket) = state.tokens.as_mut().filter(|_| back != 0) {
            bucket.refill(now);
            bucket.give_back(amount(back));
            state.line.shift(self.place, Amount { requests: 0, tokens: back });
        }
    }

    /// Leaves the line.
    fn pass(&mut self) {
        self.passed = true;
        self.limit.lock().line.leave(self.place);
    }

    /// Gives everything back: the call was never made.
    pub fn refund(mut self) {
        self.passed = false;
    }
}

impl Drop for RateReservation {
    fn drop(&mut self) {
        if self.passed {
            return;
        }
        let now = self.limit.inner.clock.instant();
        let mut state = self.limit.lock();
        state.line.leave(self.place);
        state.requests.refill(now);
        state.requests.give_back(1.0);
        if let Some(bucket) = &mut state.tokens {
            bucket.refill(now);
            bucket.give_back(weight(self.tokens));
        }
        state.line.shift(self.place, Amount { requests: 1, tokens: self.tokens.into() });
    }
}
