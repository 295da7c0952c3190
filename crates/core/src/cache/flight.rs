//! Many equal calls at once become one.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::{Error, ErrorKind, Result};

type Flight<T> = Shared<BoxFuture<'static, Result<T>>>;

/// Turns calls for one key that overlap in time into a single call, whose outcome they share.
///
/// 1. While a call for a key runs, further calls for it wait for the same outcome, error or not; nothing is kept afterwards.
/// 2. The call belongs to all who wait: if the one that began it is cancelled, the others carry it on *where it is*, and it is
///    not made again. When the last one leaves, it is dropped.
/// 3. A call that panics is an [`ErrorKind::Other`] for everyone, and the key is free again.
///
/// A call must not ask for its own key: it would wait for itself. Clones share the calls.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use pumasi_core::{Error, cache::SingleFlight};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (flights, calls) = (SingleFlight::new(), Arc::new(AtomicU32::new(0)));
/// let ask = || {
///     let calls = Arc::clone(&calls);
///     flights.run("question-7", || async move {
///         tokio::task::yield_now().await;
///         Ok(calls.fetch_add(1, Ordering::SeqCst) + 1)
///     })
/// };
/// let (first, second) = tokio::join!(ask(), ask());
/// assert_eq!((first?, second?), (1, 1));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct SingleFlight<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    flights: Mutex<HashMap<Arc<str>, Slot<T>>>,
    next: AtomicU64,
    landed: AtomicU64,
}

struct Slot<T> {
    id: u64,
    flight: WeakShared<BoxFuture<'static, Result<T>>>,
    revoked: Arc<AtomicBool>,
}

/// Frees the key when the call is done, panics or is dropped.
struct Landing<T> {
    inner: Arc<Inner<T>>,
    key: Arc<str>,
    id: u64,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.inner.landed.fetch_add(1, Ordering::SeqCst);
        let mut flights = self.inner.lock();
        if flights.get(&self.key).is_some_and(|slot| slot.id == self.id) {
            flights.remove(&self.key);
        }
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Slot<T>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Makes a set of calls with none in it.
    pub fn new() -> Self {
        let inner = Inner { flights: Mutex::default(), next: AtomicU64::new(0), landed: AtomicU64::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Waits for the call for `key` that runs, or makes it.
    ///
    /// # Errors
    /// The call's own, a clone for everyone; [`ErrorKind::Other`] if it panicked.
    pub async fn run<F, Fut>(&self, key: &str, call: F) -> Result<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.board(key, |_| call()).flight.await
    }

    /// Returns how many calls run.
    pub fn in_flight(&self) -> usize {
        self.inner.lock().len()
    }

    /// Joins the call for `key`, or starts it; the call is told whether it was revoked meanwhile.
    pub(crate) fn board<F, Fut>(&self, key: &str, call: F) -> Boarded<T>
    where
        F: FnOnce(Arc<AtomicBool>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let mut flights = self.inner.lock();
        if let Some(flight) = flights.get(key).and_then(|slot| slot.flight.upgrade()) {
            return Boarded { flight, joined: true };
        }
        let key: Arc<str> = key.into();
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let landing = Landing { inner: Arc::clone(&self.inner), key: Arc::clone(&key), id };
        let revoked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&revoked);
        let flight = async move {
            let outcome = AssertUnwindSafe(async move { call(flag).await }).catch_unwind().await;
            drop(landing); // before anyone learns the outcome, so that the next call is a new one
            outcome.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Other, "the call that others waited for panicked"))
            })
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, Slot { id, flight: weak, revoked });
        }
        Boarded { flight, joined: false }
    }

    /// Lets later callers begin anew, and tells the running call that its outcome is outdated.
    pub(super) fn revoke(&self, key: &str) {
        if let Some(slot) = self.inner.lock().remove(key) {
            slot.revoked.store(true, Ordering::SeqCst);
        }
    }

    /// Returns how many calls have ended so far.
    pub(crate) fn landed(&self) -> u64 {
        self.inner.landed.load(Ordering::SeqCst)
    }
}

/// A call that is waited for.
pub(crate) struct Boarded<T> {
    pub(crate) flight: Flight<T>,
    pub(crate) joined: bool,
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T: Clone + Send + Sync + 'static> Default for SingleFlight<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for SingleFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("in_flight", &self.inner.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;

    async fn call(calls: Arc<AtomicU32>) -> Result<u32> {
        let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(number)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_carried_on_where_it_is_when_its_beginner_leaves() {
        let (flights, calls) = (SingleFlight::new(), Arc::new(AtomicU32::new(0)));
        let run = || {
            let (flights, calls) = (flights.clone(), Arc::clone(&calls));
            tokio::spawn(async move { flights.run("key", move || call(calls)).await })
        };
        let began = tokio::time::Instant::now();
        let leader = run();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let waiters: Vec<_> = (0..10).map(|_| run()).collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        leader.abort();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap(), 1);
        }
        assert_eq!(began.elapsed(), Duration::from_millis(50), "not begun anew");
        assert_eq!((calls.load(Ordering::SeqCst), flights.in_flight()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_everyone_left_is_dropped_and_the_key_is_free() {
        let (flights, calls) = (SingleFlight::new(), Arc::new(AtomicU32::new(0)));
        for _ in 0..3 {
            let calls = Arc::clone(&calls);
            let run = flights.run("key", move || call(calls));
            assert!(tokio::time::timeout(Duration::from_millis(10), run).await.is_err());
            assert_eq!(flights.in_flight(), 0);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_shared_and_then_forgotten() {
        let flights = SingleFlight::<u32>::new();
        let fail = || {
            flights.run("key", || async {
                tokio::task::yield_now().await;
                Err(Error::new(ErrorKind::Unavailable, "away"))
            })
        };
        let (first, second) = tokio::join!(fail(), fail());
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(second.unwrap_err().to_string(), "away");
        assert_eq!(flights.run("key", || async { Ok(5) }).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_error_for_everyone_and_frees_the_key() {
        let flights = SingleFlight::<u32>::new();
        let fail = || {
            flights.run("key", || async {
                tokio::task::yield_now().await;
                panic!("a loader's own fault")
            })
        };
        let (first, second) = tokio::join!(fail(), fail());
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Other);
        // and one that panics before its first await
        let at_once = flights.run("key", || -> BoxFuture<'static, Result<u32>> { panic!("at once") }).await;
        assert_eq!(at_once.unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(flights.run("key", || async { Ok(5) }).await.unwrap(), 5);
    }
}
