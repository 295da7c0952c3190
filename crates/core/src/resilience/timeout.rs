//! A limit of time.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind};

/// Gives a call a limit of time; a call that exceeds it is dropped.
///
/// Whether a dropped call had an effect is not known: [`ErrorKind::Timeout`] says so, and only what may be repeated
/// should be retried after it.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::{Error, ErrorKind, resilience::Timeout};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let timeout = Timeout::new("geocoder", Duration::from_secs(2));
/// let error = timeout.run(std::future::pending::<Result<(), Error>>()).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// # });
/// ```
#[derive(Clone)]
pub struct Timeout {
    name: Arc<str>,
    limit: Duration,
    clock: Arc<dyn Clock>,
}

impl Timeout {
    /// Makes a limit of time for calls of `name`, on the system's clock.
    pub fn new(name: impl Into<Arc<str>>, limit: Duration) -> Self {
        Self { name: name.into(), limit, clock: Arc::new(SystemClock) }
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Runs a call within the limit.
    ///
    /// A call that is ready when the limit passes still wins.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if the limit passed first; otherwise the call's own.
    pub async fn run<T, E, Fut>(&self, call: Fut) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        match within(&*self.clock, self.limit, call).await {
            Some(result) => result,
            None => Err(timed_out(&self.name, self.limit).into()),
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

pub(super) fn timed_out(name: &str, limit: Duration) -> Error {
    metrics::counter!("pumasi_timeouts_total", "name" => name.to_owned()).increment(1);
    Error::new(ErrorKind::Timeout, format!("a call to {name} did not finish within {limit:?}"))
}

/// Runs `future` for at most `limit`, by `clock`; `None` if that passed first, and then the future is dropped.
pub async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // the timer is made late: a call that is ready at once needs none
    let mut sleep = None;
    std::future::poll_fn(move |context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        sleep.get_or_insert_with(|| clock.sleep(limit)).as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Dropped<'a>(&'a AtomicBool);

    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_exceeds_the_limit_is_dropped() {
        let dropped = AtomicBool::new(false);
        let guard = Dropped(&dropped);
        let call = async {
            let _guard = guard;
            std::future::pending::<Result<(), Error>>().await
        };
        let began = tokio::time::Instant::now();
        let error = Timeout::new("search", Duration::from_millis(300)).run(call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), "a call to search did not finish within 300ms");
        assert_eq!(began.elapsed(), Duration::from_millis(300));
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_ready_wins_even_with_no_time_at_all() {
        let timeout = Timeout::new("search", Duration::ZERO);
        assert_eq!(timeout.run(async { Ok::<_, Error>(7) }).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_calls_own_error_passes() {
        let timeout = Timeout::new("search", Duration::from_secs(1));
        let error =
            timeout.run(async { Err::<(), _>(Error::new(ErrorKind::NotFound, "none")) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
