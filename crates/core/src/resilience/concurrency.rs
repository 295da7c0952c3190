//! A limit of calls at the same time.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::timeout::within;
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind};

/// Lets at most so many calls run at once, and so many more wait in line.
///
/// The line is first come, first served, bounded in length and in time: a line that only grows turns a slow callee into a
/// process without memory. A caller that leaves (its future is dropped) leaves the line, and a permit handed to it in the
/// same moment goes to the next one. Clones share the limit.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::{Error, ErrorKind, resilience::ConcurrencyLimit};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let limit = ConcurrencyLimit::new("embedder", NonZeroUsize::new(8).unwrap())
///     .with_queue(64, Duration::from_secs(5));
/// let sum = limit.run(async { Ok::<_, Error>(2 + 2) }).await?;
/// assert_eq!(sum, 4);
///
/// // by hand, for calls that are no single future
/// let permit = limit.acquire().await?;
/// assert_eq!(limit.in_flight(), 1);
/// drop(permit);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// The metric is `pumasi_concurrency_rejections_total{name, reason}` with the reasons `full` and `queue_timeout`.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    name: Arc<str>,
    max: usize,
    max_waiting: usize,
    queue_timeout: Duration,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    clock: Arc<dyn Clock>,
}

/// Leave to run, until it is dropped.
#[derive(Debug)]
#[must_use = "the place is given back as soon as this is dropped"]
pub struct ConcurrencyPermit {
    _permit: OwnedSemaphorePermit,
}

/// One place in the line, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConcurrencyLimit {
    /// Makes a limit of `max` calls of `name` at once; with no queue, so that the next one is turned away at once.
    pub fn new(name: impl Into<Arc<str>>, max: NonZeroUsize) -> Self {
        let max = max.get().min(Semaphore::MAX_PERMITS);
        Self {
            name: name.into(),
            max,
            max_waiting: 0,
            queue_timeout: Duration::ZERO,
            permits: Arc::new(Semaphore::new(max)),
            waiting: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Lets `max_waiting` calls wait in line, each for at most `timeout`.
    #[must_use]
    pub fn with_queue(mut self, max_waiting: usize, timeout: Duration) -> Self {
        self.max_waiting = max_waiting;
        self.queue_timeout = timeout;
        self
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns how many calls run now.
    pub fn in_flight(&self) -> usize {
        self.max.saturating_sub(self.permits.available_permits())
    }

    /// Returns how many calls wait in line now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a place without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] if none is free.
    pub fn try_acquire(&self) -> Result<ConcurrencyPermit, Error> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(ConcurrencyPermit { _permit: permit }),
            Err(_) => Err(self.turn_away("full")),
        }
    }

    /// Takes a place, waiting in line for one if need be.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] if the line is full, or if no place came free in time.
    pub async fn acquire(&self) -> Result<ConcurrencyPermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(ConcurrencyPermit { _permit: permit });
        }
        let joined = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            (waiting < self.max_waiting).then_some(waiting + 1)
        });
        if joined.is_err() {
            return Err(self.turn_away("full"));
        }
        let _place = Place(&self.waiting);
        match within(&*self.clock, self.queue_timeout, Arc::clone(&self.permits).acquire_owned()).await {
            Some(Ok(permit)) => Ok(ConcurrencyPermit { _permit: permit }),
            // the semaphore is never closed
            Some(Err(_)) | None => Err(self.turn_away("queue_timeout")),
        }
    }

    /// Runs a call in a place of its own.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); otherwise the call's own.
    pub async fn run<T, E, Fut>(&self, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let _permit = self.acquire().await?;
        call.await
    }

    fn turn_away(&self, reason: &'static str) -> Error {
        metrics::counter!(
            "pumasi_concurrency_rejections_total", "name" => Arc::clone(&self.name), "reason" => reason
        )
        .increment(1);
        let Self { name, max, max_waiting, queue_timeout, .. } = self;
        let message = match (reason, max_waiting) {
            ("full", 0) => format!("all {max} places for {name} are taken"),
            ("full", _) => format!("all {max} places for {name} and all {max_waiting} in line are taken"),
            _ => format!("none of {max} places for {name} came free within {queue_timeout:?}"),
        };
        Error::new(ErrorKind::Overloaded, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max: usize) -> ConcurrencyLimit {
        ConcurrencyLimit::new("test", NonZeroUsize::new(max).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit_run_at_once() {
        let limit = limit(3).with_queue(1_000, Duration::from_mins(1));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100_u64 {
            let (limit, running, most) = (limit.clone(), Arc::clone(&running), Arc::clone(&most));
            tasks.spawn(async move {
                limit
                    .run(async {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(number % 7)).await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok::<_, Error>(())
                    })
                    .await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_turns_away_and_a_slow_one_gives_up() {
        let limit = limit(1).with_queue(1, Duration::from_millis(200));
        let held = limit.acquire().await.unwrap();
        let waiter = tokio::spawn({
            let limit = limit.clone();
            async move { limit.acquire().await }
        });
        tokio::task::yield_now().await;
        let error = limit.acquire().await.unwrap_err();
        assert_eq!(error.to_string(), "all 1 places for test and all 1 in line are taken");
        let error = waiter.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert_eq!(error.to_string(), "none of 1 places for test came free within 200ms");
        assert_eq!(limit.waiting(), 0);
        drop(held);
        let _permit = limit.try_acquire().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_takes_nothing_along() {
        let limit = limit(1).with_queue(10, Duration::from_mins(1));
        for _ in 0..50 {
            let held = limit.acquire().await.unwrap();
            let waiters: Vec<_> = (0..10)
                .map(|_| {
                    let limit = limit.clone();
                    tokio::spawn(async move { limit.acquire().await.map(drop) })
                })
                .collect();
            tokio::task::yield_now().await;
            assert_eq!(limit.waiting(), 10);
            drop(held); // the first in line is handed the place, and leaves in the same moment
            waiters.iter().for_each(tokio::task::JoinHandle::abort);
            for waiter in waiters {
                let _outcome = waiter.await;
            }
            assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_gives_its_place_back() {
        let limit = limit(1);
        let call = limit.run(std::future::pending::<Result<(), Error>>());
        assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
        assert_eq!(limit.in_flight(), 0);
    }
}
