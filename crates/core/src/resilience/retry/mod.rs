//! Trying again.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::within_budget;
use super::timeout::{timed_out, within};
use super::{Backoff, Random, RetryBudget, Retryable};
use crate::time::{Clock, SystemClock};
use crate::{Error, Retry};

/// Which attempt of a call is being made, and how much time is left for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the attempt; the first is 1.
    pub number: u32,
    /// The time until this attempt is dropped: what is left of the deadline, or the attempt's own limit.
    pub time_left: Option<Duration>,
}

/// Makes a call again when its error says that this may help.
///
/// | limit | default |
/// |---|---|
/// | attempts, the first one included | 3 |
/// | wait between them | [`Backoff::default`]: 100 ms doubling to 10 s, full jitter |
/// | deadline over all attempts and waits | none |
/// | limit of each attempt | none |
/// | the longest [`Retry::After`] that is waited for | 60 s |
/// | budget | none; share one [`RetryBudget`] among the clients of one callee |
///
/// What it promises:
///
/// 1. An error with [`Retry::Never`] ends the call at once and comes back as it is.
/// 2. A callee that says [`Retry::After`] is not called before that; the wait is drawn from there up to one
///    [base](Backoff::new) later, so that a crowd does not come back at the same moment.
/// 3. If the callee asks for more than the longest wait, the error comes back as it is, still with its `After`: a queue
///    further out can wait that long.
/// 4. An error that ends the attempts, the budget or the deadline comes back [exhausted](Retryable::exhausted), so that no
///    layer further out multiplies the attempts. With a single attempt there is nothing to exhaust and it comes back as it is.
/// 5. No attempt begins that could not begin before the deadline, and a running one is dropped at the deadline.
/// 6. Dropping the future stops everything; nothing runs on.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::resilience::{Backoff, RetryBudget, RetryPolicy};
/// use pumasi_core::{Error, ErrorKind};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let policy = RetryPolicy::new("geocoder")
///     .with_max_attempts(4)
///     .with_deadline(Duration::from_secs(10))
///     .with_budget(RetryBudget::default());
///
/// let answer = policy
///     .run(|attempt| async move {
///         if attempt.number < 3 {
///             return Err(Error::new(ErrorKind::Unavailable, "the geocoder is restarting"));
///         }
///         Ok("37.5665,126.9780")
///     })
///     .await?;
/// assert_eq!(answer, "37.5665,126.9780");
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// The metrics are `pumasi_retries_total{name}` and `pumasi_retries_exhausted_total{name, reason}` with the reasons
/// `attempts`, `budget`, `deadline` and `retry_after`.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    name: Arc<str>,
    max_attempts: u32,
    backoff: Backoff,
    deadline: Option<Duration>,
    attempt_timeout: Option<Duration>,
    max_retry_after: Duration,
    budget: Option<RetryBudget>,
    clock: Arc<dyn Clock>,
    random: Random,
}

impl RetryPolicy {
    /// Makes the default policy for calls of `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            max_attempts: 3,
            backoff: Backoff::default(),
            deadline: None,
            attempt_timeout: None,
            max_retry_after: Duration::from_mins(1),
            budget: None,
            clock: Arc::new(SystemClock),
            random: Random::system(),
        }
    }

    /// Makes a policy of one attempt, for callers who retry elsewhere.
    pub fn never(name: impl Into<Arc<str>>) -> Self {
        Self::new(name).with_max_attempts(1)
    }

    /// Sets the number of attempts, the first one included (default 3; 0 counts as 1).
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets the waits between attempts.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time allowed for all attempts and waits together (default: no limit).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the time allowed for each attempt (default: no limit).
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the longest [`Retry::After`] that is waited for here (default 60 s).
    #[must_use]
    pub fn with_max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = longest;
        self
    }

    /// Sets the budget that each retry is drawn from (default: none).
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where the jitter comes from (default: the system).
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Returns the number of attempts, the first one included.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Makes the call, and makes it again as [its error's class](Retryable::retry) allows.
    ///
    /// # Errors
    /// The last attempt's own error, or [`Timeout`](crate::ErrorKind::Timeout) if a limit of time dropped it.
    pub async fn run<T, E, F, Fut>(&self, operation: F) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        self.drive(operation, E::retry, E::exhausted).await
    }

    /// Makes the call, and makes it again as `classify` allows: for error types that are not [`Retryable`].
    ///
    /// ```
    /// use pumasi_core::{Retry, resilience::RetryPolicy};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// type AnyError = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// let result: Result<u32, AnyError> = RetryPolicy::new("parser")
    ///     .run_if(|_| async { Ok("42".parse()?) }, |_: &AnyError| Retry::Never)
    ///     .await;
    /// assert_eq!(result?, 42);
    /// # Ok::<(), AnyError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run); an exhausted error comes back as it is.
    pub async fn run_if<T, E, F, Fut, C>(&self, operation: F, classify: C) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
        C: Fn(&E) -> Retry,
    {
        self.drive(operation, classify, |error| error).await
    }

    async fn drive<T, E, F, Fut>(
        &self,
        mut operation: F,
        classify: impl Fn(&E) -> Retry,
        exhausted: impl Fn(E) -> E,
    ) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let attempts = pin!(async move {
            // a deadline beyond what the clock can express is none
            let deadline = self.deadline.and_then(|limit| self.clock.instant().checked_add(limit));
            let mut number = 1;
            loop {
                let error = match self.attempt(number, deadline, &mut operation).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                if self.max_attempts == 1 {
                    return Err(error);
                }
                let wait = match self.wait(classify(&error), number, deadline) {
                    Ok(wait) => wait,
                    Err(end) => {
                        end.record(&self.name, number);
                        return Err(if end.is_final() { exhausted(error) } else { error });
                    }
                };
                metrics::counter!("pumasi_retries_total", "name" => Arc::clone(&self.name)).increment(1);
                tracing::debug!(name = &*self.name, attempt = number, ?wait, "retrying");
                self.clock.sleep(wait).await;
                number = number.saturating_add(1);
            }
        });
        within_budget(self.budget.as_ref(), attempts).await
    }

    async fn attempt<T, E, F, Fut>(
        &self,
        number: u32,
        deadline: Option<Instant>,
        operation: &mut F,
    ) -> Result<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(self.clock.instant()));
        let limit = match (left, self.attempt_timeout) {
            (Some(left), Some(own)) => Some(left.min(own)),
            (left, own) => left.or(own),
        };
        let call = operation(Attempt { number, time_left: limit });
        let Some(limit) = limit else { return call.await };
        match within(&*self.clock, limit, call).await {
            Some(result) => result,
            None => Err(timed_out(&self.name, limit).into()),
        }
    }

    /// Tells how long to wait before the next attempt, or why there is none.
    fn wait(&self, class: Retry, number: u32, deadline: Option<Instant>) -> Result<Duration, End> {
        let wait = match class {
            Retry::Never => return Err(End::NotRetryable),
            Retry::Now => self.backoff.delay(number, &self.random),
            Retry::After(asked) if asked > self.max_retry_after => return Err(End::RetryAfter),
            Retry::After(asked) => asked.saturating_add(self.backoff.ceiling(1).mul_f64(self.random.unit())),
        };
        if number >= self.max_attempts {
            return Err(End::Attempts);
        }
        if deadline
            .is_some_and(|deadline| self.clock.instant().checked_add(wait).is_none_or(|at| at >= deadline))
        {
            return Err(End::Deadline);
        }
        if self.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return Err(End::Budget);
        }
        Ok(wait)
    }
}

/// Why there is no further attempt.
#[derive(Clone, Copy)]
enum End {
    NotRetryable,
    RetryAfter,
    Attempts,
    Deadline,
    Budget,
}

impl End {
    const fn is_final(self) -> bool {
        matches!(self, Self::Attempts | Self::Deadline | Self::Budget)
    }

    fn record(self, name: &Arc<str>, attempts: u32) {
        let reason = match self {
            Self::NotRetryable => return,
            Self::RetryAfter => "retry_after",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        };
        metrics::counter!("pumasi_retries_exhausted_total", "name" => Arc::clone(name), "reason" => reason)
            .increment(1);
        tracing::debug!(name = &**name, attempts, reason, "no further attempt");
    }
}

#[cfg(test)]
mod tests;
