//! A second call when the first takes long.

mod latency;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use self::latency::Latencies;
use super::budget::within_budget;
use super::timeout::within;
use super::{RetryBudget, Retryable, Verdict};
use crate::time::{Clock, SystemClock};

/// After how many calls in a row without an answer in their usual time a callee counts as not answering at all. Of calls that have
/// nothing to do with one another, of which one in twenty takes longer, three in a row do so once in eight thousand times.
const IN_A_ROW: u32 = 3;

/// How much earlier than it is due a timer is set, at most. Timers count milliseconds and round up, and wait for a whole one more
/// where nothing else wakes them: one for 10 ms ends after 11. Set so, it ends when it is due, or less than a millisecond before.
const EARLY: Duration = Duration::from_micros(999);

/// Which of two calls is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// The call that was made first.
    First,
    /// The one that was made because the first took long, or failed.
    Second,
}

/// The value of the call that won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raced<T> {
    /// The value.
    pub value: T,
    /// Whose it is.
    pub winner: Contender,
}

/// Makes a second call when the first has not answered after a delay, takes the answer that comes first, and drops the other.
///
/// The source is Dean and Barroso, "The Tail at Scale", CACM 2013: a second call after the 95th percentile of the usual time
/// costs 5 % more calls and takes the tail away. Because it *adds* calls, give it the same [`RetryBudget`] as the retries for
/// that callee; when the budget is used up, the first call is waited for. Only what may be made twice may be hedged.
///
/// | | [`run`](Self::run): the same callee twice | [`race`](Self::race): another callee |
/// |---|---|---|
/// | the first takes longer than the delay | second call, from the budget | second call, from the budget if there is one; without it [after a time of its own](Self::with_failover_after) |
/// | the first fails before that | its error: trying again is [`RetryPolicy`](super::RetryPolicy)'s | second call at once, without the budget: to that callee it is the first |
/// | the first answers "no" ([`Verdict::Success`]) | its error | its error |
/// | the second answers "no" | its error | the first is waited for |
/// | one fails while the other runs | the other is waited for | the other is waited for |
/// | both fail | the first's error | the first's error |
///
/// So with `race` no request waits for a circuit breaker to learn: a callee that hangs costs the delay, one whose circuit is
/// open costs nothing. Clones share what was learned of the latencies.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::Error;
/// use pumasi_core::resilience::{Contender, Hedge};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let hedge = Hedge::after("search", Duration::from_millis(50));
/// let raced = hedge
///     .race(
///         std::future::pending::<Result<&str, Error>>(), // the engine hangs
///         || async { Ok("from the database") },
///     )
///     .await?;
/// assert_eq!((raced.value, raced.winner), ("from the database", Contender::Second));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// The metrics are `pumasi_hedges_total{name, winner}` (`first`, `second`, `none`), `pumasi_hedges_denied_total{name}` (the
/// budget was used up) and `pumasi_failovers_total{name}`.
#[derive(Clone)]
pub struct Hedge {
    name: Arc<str>,
    delay: Delay,
    shortest: Duration,
    longest: Duration,
    failover_after: Option<Duration>,
    budget: Option<RetryBudget>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
enum Delay {
    Fixed(Duration),
    Learned {
        initial: Duration,
        latencies: Arc<Mutex<Latencies>>,
        /// How many of the last calls, in a row, had no answer in the usual time.
        unanswered: Arc<AtomicU32>,
    },
}

impl Hedge {
    /// Makes the second call after `delay`.
    pub fn after(name: impl Into<Arc<str>>, delay: Duration) -> Self {
        Self::build(name.into(), Delay::Fixed(delay))
    }

    /// Makes the second call after the time within which the share `percentile` (from 0 to 1) of the last 256 first calls
    /// had answered; after `initial` until 20 are known.
    ///
    /// A value counts, and so does a "no" ([`Verdict::Success`]): both are answers. A call that failed or was turned away, by an
    /// open circuit for instance, says nothing of how long an answer takes, and does not count. One that was overtaken counts
    /// with the time it had taken by then, which is the least that its answer would have taken.
    pub fn at_percentile(name: impl Into<Arc<str>>, percentile: f64, initial: Duration) -> Self {
        let latencies = Arc::new(Mutex::new(Latencies::new(percentile)));
        Self::build(name.into(), Delay::Learned { initial, latencies, unanswered: Arc::default() })
    }

    fn build(name: Arc<str>, delay: Delay) -> Self {
        let clock = Arc::new(SystemClock);
        Self {
            name,
            delay,
            shortest: Duration::ZERO,
            longest: Duration::MAX,
            failover_after: None,
            budget: None,
            clock,
        }
    }

    /// Sets how long a second call waits at least, to the millisecond, whatever was learned (default: no limit), where the other
    /// callee's answer is the lesser one and a few milliseconds are not worth it.
    #[must_use]
    pub fn with_shortest_delay(mut self, shortest: Duration) -> Self {
        self.shortest = shortest;
        self
    }

    /// Sets how long a second call waits at most, whatever was learned (default: no limit), so that a callee that grew slow
    /// does not teach patience.
    #[must_use]
    pub fn with_longest_delay(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets for [`race`](Self::race) when the other callee is asked although the budget is used up (default: never): a first
    /// call that has lasted this long counts as failed, and to the other callee the call is the first. So does one of which the
    /// three before it, too, had no answer within the delay that was [learned](Self::at_percentile): their callee does not answer, and
    /// nobody waits for it longer than for a hedge.
    #[must_use]
    pub fn with_failover_after(mut self, after: Duration) -> Self {
        self.failover_after = Some(after);
        self
    }

    /// Sets the budget that second calls are drawn from (default: none); share the one of the retries.
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

    /// Returns how long a second call would wait now.
    pub fn delay(&self) -> Duration {
        self.delay_after(self.usual())
    }

    /// How long answers usually take, once that was learned.
    fn usual(&self) -> Option<Duration> {
        let Delay::Learned { latencies, .. } = &self.delay else { return None };
        latencies.lock().unwrap_or_else(PoisonError::into_inner).percentile()
    }

    fn delay_after(&self, usual: Option<Duration>) -> Duration {
        let delay = match &self.delay {
            Delay::Fixed(delay) => *delay,
            Delay::Learned { initial, .. } => usual.unwrap_or(*initial),
        };
        delay.max(self.shortest).min(self.longest)
    }

    /// What the timer of a second call is set to: a little less than the delay, but to nothing that answers usually take.
    fn timer(&self) -> Duration {
        let usual = self.usual();
        let delay = self.delay_after(usual);
        usual.map_or(delay, |usual| delay.saturating_sub(EARLY).max(usual).min(delay))
    }

    /// Makes the call, and once more if it takes long.
    ///
    /// # Errors
    /// The call's own; see the table above.
    pub async fn run<T, E, F, Fut>(&self, mut call: F) -> Result<Raced<T>, E>
    where
        F: FnMut(Contender) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        let first = call(Contender::First);
        let contest = pin!(self.contend(first, || call(Contender::Second), false));
        within_budget(self.budget.as_ref(), contest).await
    }

    /// Makes the first call, and the second if the first takes long or fails.
    ///
    /// # Errors
    /// The first call's own; see the table above.
    pub async fn race<T, E, First, F, Second>(&self, first: First, second: F) -> Result<Raced<T>, E>
    where
        First: Future<Output = Result<T, E>>,
        F: FnOnce() -> Second,
        Second: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        let contest = pin!(self.contend(first, second, true));
        within_budget(self.budget.as_ref(), contest).await
    }

    async fn contend<T, E, First, F, Second>(
        &self,
        first: First,
        second: F,
        elsewhere: bool,
    ) -> Result<Raced<T>, E>
    where
        First: Future<Output = Result<T, E>>,
        F: FnOnce() -> Second,
        Second: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        let began = self.clock.instant();
        let mut first = pin!(first);
        let mut early = within(&*self.clock, self.timer(), first.as_mut()).await;
        let silent = self.is_silent(early.is_some()) && elsewhere && self.failover_after.is_some();
        if early.is_none() && silent {
            self.count_failover();
        } else if early.is_none() && self.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            metrics::counter!("pumasi_hedges_denied_total", "name" => Arc::clone(&self.name)).increment(1);
            early = match self.failover_after.filter(|_| elsewhere) {
                Some(after) => {
                    let left = after.saturating_sub(self.clock.instant().saturating_duration_since(began));
                    let early = within(&*self.clock, left, first.as_mut()).await;
                    if early.is_none() {
                        self.count_failover();
                    }
                    early
                }
                None => Some(first.as_mut().await),
            };
        }
        if let Some(outcome) = early {
            if !outcome.as_ref().is_err_and(is_failure) {
                self.observe(began);
            }
            return match outcome {
                Ok(value) => Ok(Raced { value, winner: Contender::First }),
                Err(error) if elsewhere && is_failure(&error) => {
                    self.count_failover();
                    match second().await {
                        Ok(value) => Ok(Raced { value, winner: Contender::Second }),
                        Err(_) => Err(error),
                    }
                }
                Err(error) => Err(error),
            };
        }

        let mut second = pin!(second());
        let (mut first_error, mut second_error) = (None, None);
        let mut failed = false;
        let outcome = std::future::poll_fn(|context| {
            if first_error.is_none()
                && let Poll::Ready(outcome) = first.as_mut().poll(context)
            {
                match outcome {
                    Ok(value) => return Poll::Ready(Ok(Raced { value, winner: Contender::First })),
                    Err(error) if !is_failure(&error) => return Poll::Ready(Err(error)),
                    Err(error) => {
                        failed = true;
                        first_error = Some(error);
                    }
                }
            }
            if second_error.is_none()
                && let Poll::Ready(outcome) = second.as_mut().poll(context)
            {
                match outcome {
                    Ok(value) => return Poll::Ready(Ok(Raced { value, winner: Contender::Second })),
                    Err(error) if !elsewhere && !is_failure(&error) => return Poll::Ready(Err(error)),
                    Err(error) => second_error = Some(error),
                }
            }
            match (second_error.is_some(), first_error.take()) {
                (true, Some(error)) => Poll::Ready(Err(error)),
                (false, error) => {
                    first_error = error;
                    Poll::Pending
                }
                (true, None) => Poll::Pending,
            }
        })
        .await;
        if !failed {
            self.observe(began);
        }
        let winner = match &outcome {
            Ok(Raced { winner: Contender::First, .. }) => "first",
            Ok(Raced { winner: Contender::Second, .. }) => "second",
            Err(_) => "none",
        };
        metrics::counter!("pumasi_hedges_total", "name" => Arc::clone(&self.name), "winner" => winner)
            .increment(1);
        outcome
    }

    /// Notes whether a call had its answer within the delay; whether so many in a row had none that the callee does not answer.
    fn is_silent(&self, answered: bool) -> bool {
        let Delay::Learned { unanswered, .. } = &self.delay else { return false };
        if answered {
            unanswered.store(0, Ordering::Relaxed);
            return false;
        }
        // answers that usually take longer than is waited are still on their way
        self.usual().is_some_and(|usual| usual <= self.longest)
            && unanswered.fetch_add(1, Ordering::Relaxed) >= IN_A_ROW
    }

    fn count_failover(&self) {
        metrics::counter!("pumasi_failovers_total", "name" => Arc::clone(&self.name)).increment(1);
    }

    fn observe(&self, began: Instant) {
        if let Delay::Learned { latencies, .. } = &self.delay {
            let took = self.clock.instant().saturating_duration_since(began);
            latencies.lock().unwrap_or_else(PoisonError::into_inner).observe(took);
        }
    }
}

/// A callee that said "no" has answered; anything else is reason to ask another.
fn is_failure<E: Retryable>(error: &E) -> bool {
    error.verdict() != Verdict::Success
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("name", &self.name)
            .field("delay", &self.delay())
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
