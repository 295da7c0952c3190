//! The lock as its users see it.

use std::sync::Arc;
use std::time::Duration;

use super::guard::{self, Granted, LockGuard};
use super::{Claim, FencingToken, LockStore};
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// A named lock in a [`LockStore`].
///
/// | setting | default |
/// |---|---|
/// | lease | 30 seconds |
/// | renewal | in the background, every third of the lease |
/// | pause between two attempts while waiting | from 10 ms, doubling, up to 250 ms, each with jitter |
///
/// A short lease frees the lock soon after its holder died; a long one forgives longer pauses of a holder that lives. Clones
/// are the same lock.
///
/// The metrics are `pumasi_lock_acquired_total`, `pumasi_lock_timeouts_total` and
/// `pumasi_leases_lost_total{of="lock"}`.
#[derive(Clone, Debug)]
pub struct Lock {
    store: Arc<dyn LockStore>,
    name: Arc<str>,
    lease: Duration,
    renews: bool,
    longest_pause: Duration,
    clock: Arc<dyn Clock>,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

impl Lock {
    /// Makes the lock `name` of `store`; nothing is asked yet.
    pub fn new(store: impl LockStore + 'static, name: &str) -> Self {
        Self {
            store: Arc::new(store),
            name: name.into(),
            lease: Duration::from_secs(30),
            renews: true,
            longest_pause: Duration::from_millis(250),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how long the lock is held without being renewed (default 30 seconds).
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Leaves renewing to the holder: the lock ends with its lease unless [`LockGuard::renew`] is called.
    #[must_use]
    pub fn without_renewal(mut self) -> Self {
        self.renews = false;
        self
    }

    /// Sets the longest pause between two attempts while waiting (default 250 milliseconds).
    #[must_use]
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause.max(Duration::from_millis(1));
        self
    }

    /// Sets the clock by which the holder counts (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the lock's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Acquires the lock if it is free; `None` if another holds it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the lease is zero or above 24 hours; the store's.
    pub async fn try_acquire(&self) -> Result<Option<LockGuard>> {
        let mut attempt = Attempt::new(self)?;
        attempt.once().await
    }

    /// Acquires the lock, waiting for at most `wait` while another holds it.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it did not become free, [`ErrorKind::InvalidInput`] if the lease is zero or above 24 hours;
    /// the store's, at once: whether to go on waiting for a store that fails is the caller's to decide.
    pub async fn acquire(&self, wait: Duration) -> Result<LockGuard> {
        let mut attempt = Attempt::new(self)?;
        let began = self.clock.instant();
        let mut pause = SHORTEST_PAUSE;
        loop {
            if let Some(guard) = attempt.once().await? {
                return Ok(guard);
            }
            let left = wait.saturating_sub(self.clock.instant().saturating_duration_since(began));
            if left.is_zero() {
                metrics::counter!("pumasi_lock_timeouts_total").increment(1);
                let message = format!("the lock {:?} did not become free within {wait:?}", self.name);
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            let jittered = pause.min(self.longest_pause).mul_f64(0.5 + fastrand::f64() / 2.0);
            self.clock.sleep(jittered.min(left)).await;
            pause = pause.saturating_mul(2).min(self.longest_pause);
        }
    }
}

/// One owner's attempts; dropped while one is under way, it gives back what that may have been granted.
struct Attempt<'a> {
    lock: &'a Lock,
    claim: Claim,
    open: bool,
}

impl<'a> Attempt<'a> {
    fn new(lock: &'a Lock) -> Result<Self> {
        Ok(Self { lock, claim: Claim::new(Arc::clone(&lock.name), lock.lease)?, open: false })
    }

    fn granted(&self) -> Arc<Granted> {
        Arc::new(Granted { store: Arc::clone(&self.lock.store), claim: self.claim.clone() })
    }

    async fn once(&mut self) -> Result<Option<LockGuard>> {
        // read before the call: our lease must not outlast the store's
        let began = self.lock.clock.instant();
        self.open = true;
        let granted: Option<FencingToken> = self.lock.store.try_acquire(&self.claim).await?;
        self.open = false;
        Ok(granted.map(|token| {
            metrics::counter!("pumasi_lock_acquired_total").increment(1);
            let clock = Arc::clone(&self.lock.clock);
            LockGuard::new(self.granted(), token, clock, began, self.lock.renews)
        }))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.open {
            guard::give_back(self.granted());
        }
    }
}
