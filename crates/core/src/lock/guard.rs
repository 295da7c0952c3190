//! A lock that is held.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Claim, FencingToken, LockStore};
use crate::resilience::within;
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};
use async_trait::async_trait;

/// A lock that is held until it is [released](Self::release), dropped or [lost](Self::lost).
///
/// Dropping it releases the lock in the background, or leaves it to the lease where no runtime is left to do so.
pub struct LockGuard {
    held: Arc<Held>,
    renewal: Option<JoinHandle<()>>,
    released: bool,
}

/// What is held for a lease, and renewed and given up as one grant of it.
#[async_trait]
pub(crate) trait Leased: Send + Sync {
    /// Says what it is, for metrics and messages.
    fn what(&self) -> &'static str;

    /// Says which one it is, for messages.
    fn name(&self) -> &str;

    fn lease(&self) -> Duration;

    /// Begins the lease anew; `false` if it is lost.
    async fn renew(&self) -> Result<bool>;

    /// Gives it up; `false` if it was lost.
    async fn release(&self) -> Result<bool>;
}

/// A claim on a lock that was granted.
pub(super) struct Granted {
    pub(super) store: Arc<dyn LockStore>,
    pub(super) claim: Claim,
}

#[async_trait]
impl Leased for Granted {
    fn what(&self) -> &'static str {
        "lock"
    }

    fn name(&self) -> &str {
        &self.claim.name
    }

    fn lease(&self) -> Duration {
        self.claim.lease
    }

    async fn renew(&self) -> Result<bool> {
        self.store.renew(&self.claim).await
    }

    async fn release(&self) -> Result<bool> {
        self.store.release(&self.claim).await
    }
}

struct Held {
    leased: Arc<dyn Leased>,
    token: FencingToken,
    clock: Arc<dyn Clock>,
    until: Mutex<Instant>,
    lost: watch::Sender<bool>,
}

impl LockGuard {
    pub(crate) fn new(
        leased: Arc<dyn Leased>,
        token: FencingToken,
        clock: Arc<dyn Clock>,
        began: Instant,
        renews: bool,
    ) -> Self {
        let until = Mutex::new(began + leased.lease());
        let held = Arc::new(Held { leased, token, clock, until, lost: watch::Sender::new(false) });
        let renewal = renews.then(|| tokio::spawn(Arc::clone(&held).keep()));
        Self { held, renewal, released: false }
    }

    /// Returns the fencing token of this grant, for the resource to compare.
    pub fn token(&self) -> FencingToken {
        self.held.token
    }

    /// Returns the lock's name.
    pub fn name(&self) -> &str {
        self.held.leased.name()
    }

    /// Tells whether the lock is no longer held, as far as can be known here: a renewal was refused, or the lease has passed
    /// by the holder's clock without one. Once lost it stays lost.
    pub fn is_lost(&self) -> bool {
        self.held.left().is_none()
    }

    /// Waits until the lock is lost.
    pub async fn lost(&self) {
        let mut told = self.held.lost.subscribe();
        while let Some(left) = self.held.left() {
            tokio::select! {
                _ = told.wait_for(|lost| *lost) => {}
                () = self.held.clock.sleep(left) => {}
            }
        }
    }

    /// Does `work` for as long as the lock is held; drops it when the lock is lost.
    ///
    /// What `work` has sent by then may still arrive: only a resource that compares the [token](Self::token) refuses it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the lock was lost before `work` ended; `work`'s own.
    pub async fn while_held<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.lost() => Err(self.held.conflict()),
            outcome = work => outcome,
        }
    }

    /// Begins the lease anew, now; renewal in the background does so by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the lock is lost; the store's, and then the lease goes on as it was.
    pub async fn renew(&self) -> Result<()> {
        if self.held.renew().await? { Ok(()) } else { Err(self.held.conflict()) }
    }

    /// Releases the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it had been lost: another may have held it meanwhile. The store's, and then the lock ends
    /// with its lease.
    pub async fn release(mut self) -> Result<()> {
        self.stop();
        let was_lost = self.is_lost();
        let held = self.held.leased.release().await?;
        self.released = true;
        if held && !was_lost { Ok(()) } else { Err(self.held.conflict()) }
    }

    /// Stops renewing and leaves it as it is.
    pub(crate) fn forget(mut self) {
        self.stop();
        self.released = true;
    }

    fn stop(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.stop();
        if !self.released {
            give_back(Arc::clone(&self.held.leased));
        }
    }
}

impl Held {
    /// How much of the lease is left; `None` once the lock is lost.
    fn left(&self) -> Option<Duration> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(self.clock.instant());
        if left.is_zero() {
            self.lose();
        }
        Some(left).filter(|_| !*self.lost.borrow())
    }

    fn lose(&self) {
        if !self.lost.send_replace(true) {
            let (what, name) = (self.leased.what(), self.leased.name());
            metrics::counter!("pumasi_leases_lost_total", "of" => what).increment(1);
            tracing::warn!(what, name, token = %self.token, "a lease was lost");
        }
    }

    /// Renews the lease, within what is left of it; `false` if the lock is lost.
    async fn renew(&self) -> Result<bool> {
        let Some(left) = self.left() else { return Ok(false) };
        let began = self.clock.instant();
        let Some(renewed) = within(&*self.clock, left, self.leased.renew()).await else {
            self.lose();
            return Ok(false);
        };
        if !renewed? {
            self.lose();
            return Ok(false);
        }
        // whoever looked at the end of the old lease was told that the lock is lost, and an answer after it changes nothing
        if self.left().is_none() {
            return Ok(false);
        }
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = began + self.leased.lease();
        Ok(true)
    }

    /// Renews every third of the lease, and after a failure every tenth, until the lock is lost.
    async fn keep(self: Arc<Self>) {
        let lease = self.leased.lease();
        let mut pause = lease / 3;
        while let Some(left) = self.left() {
            self.clock.sleep(pause.min(left)).await;
            pause = match self.renew().await {
                Ok(true) => lease / 3,
                Ok(false) => return,
                Err(error) => {
                    let (what, name) = (self.leased.what(), self.leased.name());
                    tracing::warn!(what, name, kind = %error.kind(), %error, "a lease could not be renewed");
                    lease / 10
                }
            };
        }
    }

    fn conflict(&self) -> Error {
        let (what, name) = (self.leased.what(), self.leased.name());
        let message = format!("the {what} {name:?} was lost: its lease ended or its connection broke");
        Error::new(ErrorKind::Conflict, message)
    }
}

/// Releases in the background what may be held; without a runtime it is left to the lease.
pub(super) fn give_back(leased: Arc<dyn Leased>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if let Err(error) = leased.release().await {
                let (what, name) = (leased.what(), leased.name());
                tracing::debug!(what, name, kind = %error.kind(), "what is held is left to its lease");
            }
        });
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("name", &self.held.leased.name())
            .field("token", &self.held.token)
            .field("lost", &*self.held.lost.borrow())
            .finish_non_exhaustive()
    }
}
