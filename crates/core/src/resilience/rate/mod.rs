//! A limit of requests and tokens per minute.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

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
///    for that it cannot sit out, and is told when to come back. One that is larger than the burst could never pass and is
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
    /// Those who wait, in the order of their arrival.
    line: BTreeMap<u64, Ticket>,
    arrivals: u64,
}

/// When a caller in line may pass, by each of the buckets.
struct Ticket {
    by_requests: Instant,
    by_tokens: Instant,
    waker: Option<Waker>,
}

impl State {
    /// Moves those who came after `place` up by what came back, or back by what is owed.
    fn shift(&mut self, place: u64, requests: f64, tokens: f64) {
        let by_requests = requests / self.requests.per_second;
        let by_tokens = self.tokens.map_or(0.0, |bucket| tokens / bucket.per_second);
        for ticket in self.line.range_mut(place.saturating_add(1)..).map(|(_, ticket)| ticket) {
            ticket.by_requests = sooner(ticket.by_requests, by_requests);
            ticket.by_tokens = sooner(ticket.by_tokens, by_tokens);
            if let Some(waker) = ticket.waker.take() {
                waker.wake();
            }
        }
    }

    /// When the caller at `place` may pass.
    fn due(&self, place: u64) -> Instant {
        let ticket = self.line.get(&place);
        ticket.map_or(self.not_before, |ticket| ticket.by_requests.max(ticket.by_tokens).max(self.not_before))
    }
}

fn sooner(at: Instant, seconds: f64) -> Instant {
    let by = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    if seconds < 0.0 { after(at, by) } else { at.checked_sub(by).unwrap_or(at) }
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
        let state = State {
            requests: Bucket::new(
                f64::from(config.requests_per_minute),
                f64::from(config.request_burst),
                now,
            ),
            tokens: config
                .tokens_per_minute
                .map(|tokens| Bucket::new(weight(tokens), weight(config.token_burst.unwrap_or(tokens)), now)),
            not_before: now,
            line: BTreeMap::new(),
            arrivals: 0,
        };
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
            let mut sleep = self.inner.clock.sleep(pause);
            poll_fn(|context| {
                let mut state = self.lock();
                if state.due(reservation.place) != due {
                    return Poll::Ready(());
                }
                if let Some(ticket) = state.line.get_mut(&reservation.place) {
                    ticket.waker = Some(context.waker().clone());
                }
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
        state.not_before = state.not_before.max(until);
        // whoever cannot sit it out is turned away now
        for ticket in state.line.values_mut() {
            if let Some(waker) = ticket.waker.take() {
                waker.wake();
            }
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
        state.arrivals += 1;
        let place = state.arrivals;
        let ticket =
            Ticket { by_requests: after(now, by_requests), by_tokens: after(now, by_tokens), waker: None };
        state.line.insert(place, ticket);
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
const fn weight(tokens: u64) -> f64 {
    tokens as f64
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
        let mut back = weight(self.tokens) - weight(used);
        let mut state = self.limit.lock();
        if let Some(bucket) = &mut state.tokens {
            back = back.max(-bucket.capacity);
            bucket.refill(now);
            bucket.give_back(back);
            state.shift(self.place, 0.0, back);
        }
    }

    /// Leaves the line.
    fn pass(&mut self) {
        self.passed = true;
        self.limit.lock().line.remove(&self.place);
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
        state.line.remove(&self.place);
        state.requests.refill(now);
        state.requests.give_back(1.0);
        if let Some(bucket) = &mut state.tokens {
            bucket.refill(now);
            bucket.give_back(weight(self.tokens));
        }
        state.shift(self.place, 1.0, weight(self.tokens));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::ManualClock;

    fn limit(requests: u32, tokens: u64) -> (RateLimit, ManualClock) {
        let clock = ManualClock::new();
        let limit = RateLimit::per_minute("test", NonZeroU32::new(requests).unwrap())
            .with_tokens_per_minute(NonZeroU64::new(tokens).unwrap())
            .with_clock(Arc::new(clock.clone()));
        (limit, clock)
    }

    /// Somebody who waits until he may pass.
    async fn in_line(limit: &RateLimit) -> tokio::task::JoinHandle<Result<(), Error>> {
        let limit = limit.clone();
        let waiter = tokio::spawn(async move { limit.acquire(0).await.map(drop) });
        tokio::task::yield_now().await;
        waiter
    }

    #[test]
    fn requests_beyond_the_limit_are_told_when_to_come_back() {
        let (limit, clock) = limit(2, 1_000);
        let _first = limit.try_acquire(1).unwrap();
        let _second = limit.try_acquire(1).unwrap();
        let error = limit.try_acquire(1).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Overloaded, Retry::After(Duration::from_secs(30)))
        );
        clock.advance(Duration::from_secs(30));
        let _third = limit.try_acquire(1).unwrap();
    }

    #[test]
    fn nonsense_for_a_usage_delays_by_no_more_than_a_burst() {
        let (limit, clock) = limit(1_000, 600);
        limit.try_acquire(100).unwrap().reconcile(u64::MAX);
        assert_eq!(limit.try_acquire(500).unwrap_err().retry(), Retry::After(Duration::from_mins(1)));
        clock.advance(Duration::from_mins(1));
        let _again = limit.try_acquire(500).unwrap();
    }

    #[test]
    fn what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() {
        let (limit, clock) = limit(1_000, 600);
        limit.try_acquire(600).unwrap().reconcile(100);
        limit.try_acquire(500).unwrap().reconcile(800);
        // 300 tokens in debt, at ten a second
        let error = limit.try_acquire(1).unwrap_err();
        assert_eq!(error.retry(), Retry::After(Duration::from_millis(30_100)));
        clock.advance(Duration::from_millis(30_100));
        limit.try_acquire(1).unwrap().refund();
        limit.try_acquire(1).unwrap().refund();
    }

    #[test]
    fn a_call_larger_than_the_burst_is_refused_instead_of_waiting_for_ever() {
        let (limit, _clock) = limit(10, 600);
        let error = limit.try_acquire(601).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::InvalidInput, Retry::Never));
    }

    #[test]
    fn a_pause_holds_everybody_back() {
        let (limit, clock) = limit(10, 600);
        limit.pause(Duration::from_secs(20));
        limit.pause(Duration::from_secs(5));
        assert_eq!(limit.try_acquire(1).unwrap_err().retry(), Retry::After(Duration::from_secs(20)));
        clock.advance(Duration::from_secs(20));
        let _passed = limit.try_acquire(1).unwrap();
        limit.pause(Duration::MAX);
        assert!(limit.try_acquire(1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_are_served_in_order_at_the_rate() {
        let limit = RateLimit::per_minute("test", NonZeroU32::new(60).unwrap())
            .with_request_burst(NonZeroU32::MIN)
            .with_clock(Arc::new(SystemClock));
        let began = tokio::time::Instant::now();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..5_u64 {
            let (limit, order) = (limit.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                limit.acquire(0).await.unwrap().reconcile(0);
                order.lock().unwrap().push((number, began.elapsed().as_secs()));
            });
            tokio::task::yield_now().await;
        }
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_gives_back_what_it_reserved() {
        let limit =
            RateLimit::per_minute("test", NonZeroU32::new(1).unwrap()).with_max_wait(Duration::from_mins(10));
        let _first = limit.acquire(0).await.unwrap();
        for _ in 0..5 {
            assert!(tokio::time::timeout(Duration::from_millis(1), limit.acquire(0)).await.is_err());
        }
        let began = tokio::time::Instant::now();
        let _second = limit.acquire(0).await.unwrap();
        assert!(began.elapsed() <= Duration::from_mins(1), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_those_in_line_too() {
        let limit =
            RateLimit::per_minute("test", NonZeroU32::new(60).unwrap()).with_request_burst(NonZeroU32::MIN);
        let _first = limit.acquire(0).await.unwrap();
        let began = tokio::time::Instant::now();
        let waiter = in_line(&limit).await;
        limit.pause(Duration::from_secs(30));
        waiter.await.unwrap().unwrap();
        assert!(began.elapsed() >= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_goes_on_beyond_the_longest_wait_turns_those_in_line_away() {
        let limit = RateLimit::per_minute("test", NonZeroU32::new(60).unwrap())
            .with_request_burst(NonZeroU32::MIN)
            .with_max_wait(Duration::from_secs(10));
        let _first = limit.acquire(0).await.unwrap();
        let began = tokio::time::Instant::now();
        let waiter = in_line(&limit).await;
        limit.pause(Duration::from_secs(30));
        let error = waiter.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(30)));
        assert!(began.elapsed().is_zero(), "at once, not when it would have been its turn");
        tokio::time::sleep(Duration::from_secs(30)).await;
        limit.try_acquire(0).expect("what was reserved came back").refund();
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_shortens_the_wait_of_those_in_line_in_their_order() {
        let limit = RateLimit::per_minute("test", NonZeroU32::new(6_000).unwrap())
            .with_tokens_per_minute(NonZeroU64::new(60_000).unwrap());
        let first = limit.acquire(60_000).await.unwrap();
        let began = tokio::time::Instant::now();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for (name, tokens) in [("big", 30_000), ("leaves", 20_000), ("small", 5_000)] {
            let (limit, passed) = (limit.clone(), Arc::clone(&passed));
            tasks.spawn(async move {
                let limit = limit.acquire(tokens);
                if name == "leaves" {
                    assert!(tokio::time::timeout(Duration::from_millis(100), limit).await.is_err());
                    return;
                }
                drop(limit.await.unwrap());
                passed.lock().unwrap().push((name, began.elapsed().as_secs()));
            });
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.reconcile(40_000);
        while tasks.join_next().await.is_some() {}
        // 20,000 came back, and 1,000 a second: the big one needs ten seconds, and the small one five more.
        assert_eq!(*passed.lock().unwrap(), [("big", 10), ("small", 15)]);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_whose_estimates_are_too_high_do_not_keep_each_other_out() {
        let limit = RateLimit::per_minute("test", NonZeroU32::new(6_000).unwrap())
            .with_tokens_per_minute(NonZeroU64::new(60_000).unwrap());
        let began = tokio::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let limit = limit.clone();
            tasks.spawn(async move {
                let reservation = limit.acquire(10_000).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                reservation.reconcile(500);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "a few hundred steps")]
        fn no_span_of_time_lets_more_through_than_burst_and_rate(
            steps in prop::collection::vec((0_u64..9_000, 0_u64..400, 0_u64..500), 1..150),
        ) {
            let (limit, clock) = limit(30, 600);
            let (mut at, mut passed) = (0_u64, Vec::new());
            for (pause, estimate, used) in steps {
                at += pause;
                clock.advance(Duration::from_millis(pause));
                if let Ok(reservation) = limit.try_acquire(estimate) {
                    // never used beyond the estimate here: a debt is only paid afterwards
                    let used = used.min(estimate);
                    reservation.reconcile(used);
                    passed.push((at, used));
                }
            }
            for (first, (from, _)) in passed.iter().enumerate() {
                let (mut requests, mut tokens) = (0.0, 0.0);
                for (moment, used) in &passed[first..] {
                    let seconds = (moment - from) as f64 / 1_000.0;
                    requests += 1.0;
                    tokens += *used as f64;
                    prop_assert!(requests <= 30.0 + 0.5 * seconds + 1e-6);
                    prop_assert!(tokens <= 600.0 + 10.0 * seconds + 1e-6);
                }
            }
        }
    }
}
