//! The parts put together, in the one order that works.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Attempt, CircuitBreaker, ConcurrencyLimit, RateLimit, RateReservation, RetryPolicy, Retryable, Timeout,
};
use crate::time::Clock;

/// The parts of this module around the calls of one callee, each of them optional, from the outside in:
///
/// | | part | why there |
/// |---|---|---|
/// | 1 | deadline | covers everything, the waits too |
/// | 2 | [retry](RetryPolicy) | each attempt is limited and counted like any other call |
/// | 3 | a look at the breaker | nobody queues for a callee that is known to be away |
/// | 4 | [rate limit](RateLimit) | waited for without holding a place |
/// | 5 | [concurrency limit](ConcurrencyLimit) | held while the call runs, and only then |
/// | 6 | [breaker](CircuitBreaker) | counts the callee's time, not that of our own queues |
/// | 7 | limit of each attempt | inside the breaker, which counts it as a failure |
///
/// A [`Hedge`](super::Hedge) goes around one pipeline, or around two for two callees:
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::Error;
/// use pumasi_core::resilience::{CircuitBreaker, ConcurrencyLimit, Hedge, Pipeline, RetryBudget, RetryPolicy};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let engine = Pipeline::new("engine")
///     .with_deadline(Duration::from_secs(2))
///     .with_retry(RetryPolicy::new("engine").with_budget(RetryBudget::default()))
///     .with_concurrency(ConcurrencyLimit::new("engine", NonZeroUsize::new(64).unwrap()))
///     .with_breaker(CircuitBreaker::new("engine", Duration::from_millis(300)))
///     .with_attempt_timeout(Duration::from_millis(800));
/// let database = Pipeline::new("database").with_deadline(Duration::from_secs(2));
///
/// let raced = Hedge::after("search", Duration::from_millis(80))
///     .race(
///         engine.run(|_attempt| async { Ok::<_, Error>(vec!["달리기 모임"]) }),
///         || database.run(|_attempt| async { Ok(vec!["달리기 모임"]) }),
///     )
///     .await?;
/// assert_eq!(raced.value.len(), 1);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Pipeline {
    name: Arc<str>,
    deadline: Option<Timeout>,
    retry: Option<RetryPolicy>,
    rate: Option<RateLimit>,
    concurrency: Option<ConcurrencyLimit>,
    breaker: Option<CircuitBreaker>,
    attempt: Option<Timeout>,
}

impl Pipeline {
    /// Makes a pipeline without parts for calls of `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            deadline: None,
            retry: None,
            rate: None,
            concurrency: None,
            breaker: None,
            attempt: None,
        }
    }

    /// Limits the time of the whole, waits and all attempts included.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(Timeout::new(Arc::clone(&self.name), deadline));
        self
    }

    /// Makes failed calls again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Limits the requests per minute; for tokens too, use the [`RateLimit`] itself, which has to be told what was used.
    #[must_use]
    pub fn with_rate(mut self, rate: RateLimit) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Limits the calls that run at once.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: ConcurrencyLimit) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Turns calls away while the callee is in trouble.
    #[must_use]
    pub fn with_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Limits the time of each attempt, from when it is made.
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt = Some(Timeout::new(Arc::clone(&self.name), timeout));
        self
    }

    /// Sets the clock of the two limits of time; the other parts bring their own.
    #[must_use]
    pub fn with_clock(mut self, clock: &Arc<dyn Clock>) -> Self {
        self.deadline = self.deadline.map(|deadline| deadline.with_clock(Arc::clone(clock)));
        self.attempt = self.attempt.map(|attempt| attempt.with_clock(Arc::clone(clock)));
        self
    }

    /// Makes a call through all the parts.
    ///
    /// # Errors
    /// The call's own, or that of the part that gave it up: [`Timeout`](crate::ErrorKind::Timeout),
    /// [`Overloaded`](crate::ErrorKind::Overloaded) or [`CircuitOpen`](crate::ErrorKind::CircuitOpen).
    pub async fn run<T, E, F, Fut>(&self, call: F) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        match &self.deadline {
            Some(deadline) => deadline.run(self.attempts(call)).await,
            None => self.attempts(call).await,
        }
    }

    async fn attempts<T, E, F, Fut>(&self, mut call: F) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        match &self.retry {
            Some(retry) => retry.run(|attempt| self.attempt(call(attempt))).await,
            None => self.attempt(call(Attempt { number: 1, time_left: None })).await,
        }
    }

    async fn attempt<T, E, Fut>(&self, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        if let Some(breaker) = &self.breaker {
            breaker.check()?;
        }
        let reservation = match &self.rate {
            Some(rate) => Some(rate.acquire(0).await?),
            None => None,
        };
        let _place = match &self.concurrency {
            Some(concurrency) => match concurrency.acquire().await {
                Ok(place) => Some(place),
                Err(error) => {
                    // the call is not made, and costs nothing of the rate
                    reservation.into_iter().for_each(RateReservation::refund);
                    return Err(error.into());
                }
            },
            None => None,
        };
        drop(reservation); // it stands
        match &self.breaker {
            Some(breaker) => breaker.call(self.timed(call)).await,
            None => self.timed(call).await,
        }
    }

    async fn timed<T, E, Fut>(&self, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        match &self.attempt {
            Some(timeout) => timeout.run(call).await,
            None => call.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::resilience::{Backoff, BreakerState};
    use crate::{Error, ErrorKind};

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "the callee is away")
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_is_counted_by_the_breaker_and_limited_by_the_rate() {
        let breaker = CircuitBreaker::new("test", Duration::from_secs(1)).with_minimum_throughput(100);
        let rate =
            RateLimit::per_minute("test", NonZeroU32::new(60).unwrap()).with_request_burst(NonZeroU32::MIN);
        let pipeline = Pipeline::new("test")
            .with_retry(RetryPolicy::new("test").with_backoff(Backoff::constant(Duration::ZERO)))
            .with_rate(rate)
            .with_breaker(breaker.clone());
        let began = tokio::time::Instant::now();
        let result: Result<(), Error> = pipeline.run(|_| async { Err(unavailable()) }).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(breaker.counts().failed, 3);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_finds_no_place_costs_nothing_of_the_rate() {
        let rate = RateLimit::per_minute("test", NonZeroU32::new(3).unwrap());
        let one = ConcurrencyLimit::new("test", NonZeroUsize::MIN).with_queue(0, Duration::ZERO);
        let held = one.acquire().await.unwrap();
        let pipeline = Pipeline::new("test").with_rate(rate).with_concurrency(one);
        for _ in 0..10 {
            let error = pipeline.run(|_| async { Ok::<_, Error>(()) }).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Overloaded);
        }
        drop(held);
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            pipeline.run(|_| async { Ok::<_, Error>(()) }).await.unwrap();
        }
        assert!(began.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_cut_and_counted_as_a_failure() {
        let breaker = CircuitBreaker::new("test", Duration::from_mins(1)).with_minimum_throughput(3);
        let pipeline = Pipeline::new("test")
            .with_retry(RetryPolicy::new("test"))
            .with_breaker(breaker.clone())
            .with_attempt_timeout(Duration::from_millis(100));
        let result: Result<(), Error> = pipeline.run(|_| std::future::pending()).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_our_own_queue_is_not_the_callees() {
        let breaker = CircuitBreaker::new("test", Duration::from_millis(50)).with_minimum_throughput(1);
        let one = ConcurrencyLimit::new("test", NonZeroUsize::MIN).with_queue(100, Duration::from_mins(1));
        let pipeline = Pipeline::new("test").with_concurrency(one).with_breaker(breaker.clone());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let pipeline = pipeline.clone();
            tasks.spawn(async move {
                let call = |_| async {
                    tokio::time::sleep(Duration::from_millis(40)).await;
                    Ok::<_, Error>(())
                };
                pipeline.run(call).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!((breaker.state(), breaker.counts().slow), (BreakerState::Closed, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_queues_for_a_callee_that_is_known_to_be_away() {
        let breaker = CircuitBreaker::new("test", Duration::from_secs(1));
        let one = ConcurrencyLimit::new("test", NonZeroUsize::MIN).with_queue(100, Duration::from_mins(1));
        let _held = one.acquire().await.unwrap();
        breaker.trip();
        let pipeline = Pipeline::new("test").with_concurrency(one).with_breaker(breaker);
        let began = tokio::time::Instant::now();
        let error = pipeline.run(|_| async { Ok::<_, Error>(()) }).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (ErrorKind::CircuitOpen, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_covers_the_waits_too() {
        let calls = AtomicU32::new(0);
        let pipeline = Pipeline::new("test")
            .with_deadline(Duration::from_millis(500))
            .with_retry(RetryPolicy::new("test").with_backoff(Backoff::constant(Duration::from_millis(300))));
        let began = tokio::time::Instant::now();
        let result: Result<(), Error> = pipeline
            .run(|_| {
                calls.fetch_add(1, Ordering::SeqCst);
                async { Err(unavailable()) }
            })
            .await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!((began.elapsed(), calls.load(Ordering::SeqCst)), (Duration::from_millis(500), 2));
    }

    #[tokio::test]
    async fn without_parts_it_is_the_call() {
        let value = Pipeline::new("test").run(|attempt| async move { Ok::<_, Error>(attempt.number) }).await;
        assert_eq!(value.unwrap(), 1);
    }
}
