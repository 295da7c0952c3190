//! The worker's lease, and the store's time as it is known here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pumasi_core::resilience::within;
use pumasi_core::time::{Clock, Timestamp};

use super::Core;
use crate::planted::{self, Bug};
use crate::{Error, ErrorKind, Result};

/// When the lease was renewed, and what the store's clock said when.
pub(crate) struct Leased {
    facts: Mutex<Facts>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Default)]
struct Facts {
    /// When the renewal that succeeded last was asked for, by this machine: the lease runs at least from then.
    renewed: Option<Instant>,
    /// What the store's clock said, and when that was heard.
    heard: Option<(Timestamp, Instant)>,
}

impl Leased {
    pub(super) fn new() -> Self {
        Self { facts: Mutex::default(), renewing: tokio::sync::Mutex::new(()) }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        if planted::is(Bug::LocalClock) {
            return clock.now();
        }
        match self.facts().heard {
            Some((at, heard)) => at.saturating_add(clock.instant().saturating_duration_since(heard)),
            None => clock.now(),
        }
    }

    /// Notes what the store's clock said.
    pub(super) fn hear(&self, at: Timestamp, clock: &dyn Clock) {
        self.facts().heard = Some((at, clock.instant()));
    }

    /// Returns how long ago the lease was renewed.
    fn age(&self, clock: &dyn Clock) -> Option<Duration> {
        let renewed = self.facts().renewed?;
        Some(clock.instant().saturating_duration_since(renewed))
    }
}

impl<App> Core<App> {
    /// Tells in how much time the lease has to be renewed.
    pub(super) fn renewal_due(&self) -> Duration {
        let third = self.options.lease / 3;
        self.leased.age(&*self.options.clock).map_or(Duration::ZERO, |age| third.saturating_sub(age))
    }

    /// Renews the lease if a third of it is over.
    ///
    /// # Errors
    ///
    /// As the store's; nothing if the lease still runs for a while.
    pub(super) async fn ensure_lease(&self) -> Result<()> {
        if !self.renewal_due().is_zero() {
            return Ok(());
        }
        let clock = &*self.options.clock;
        let third = self.options.lease / 3;
        let runs = || self.leased.age(clock).is_some_and(|age| age < third * 2);
        // Whoever renews may be a child within the very driver that asks, which does not go on while that waits here.
        let _alone = match self.leased.renewing.try_lock() {
            Ok(alone) => alone,
            Err(_) if runs() => return Ok(()),
            Err(_) => within(clock, third, self.leased.renewing.lock()).await.ok_or_else(|| {
                Error::new(
                    ErrorKind::Unavailable,
                    "the lease of a worker is being renewed, and that takes long",
                )
            })?,
        };
        if !self.renewal_due().is_zero() {
            return Ok(());
        }
        let asked = clock.instant();
        match self.store.renew(self.worker, self.options.lease).await {
            Ok(at) => {
                self.leased.hear(at, clock);
                self.leased.facts().renewed = Some(asked);
                Ok(())
            }
            // Two thirds of the lease are a long time for a store to come back; then effects have to stop.
            Err(_) if runs() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until the lease is sure to run, so that an effect may begin.
    pub(super) async fn await_lease(&self) {
        let mut failures = 0;
        while let Err(error) = self.ensure_lease().await {
            failures += 1;
            tracing::warn!(error = %error, failures, "the lease of a worker could not be renewed");
            let pause = self.options.store_backoff.delay(failures, &self.options.random);
            self.options.clock.sleep(pause).await;
        }
    }

    /// Forgets the lease, after it was given up.
    pub(super) fn lease_is_over(&self) {
        self.leased.facts().renewed = None;
    }
}
