//! The deliveries that a consumer holds, and the heartbeat that keeps them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::control::Shutdown;
use crate::event::{Delivery, Receipt, Subscriber};
use crate::time::Clock;

type Id = (u128, u64);

/// Everything that was fetched and not settled, with the signal that tells its lane of a lost lease.
#[derive(Debug, Default)]
pub(super) struct Held {
    receipts: Mutex<HashMap<Id, (Receipt, Shutdown)>>,
}

impl Held {
    pub(super) fn add(&self, run: &[Delivery], lost: &Shutdown) {
        let mut receipts = self.lock();
        for Delivery { receipt, .. } in run {
            receipts.insert((receipt.position, receipt.fence), (receipt.clone(), lost.clone()));
        }
    }

    pub(super) fn remove(&self, receipt: &Receipt) {
        self.lock().remove(&(receipt.position, receipt.fence));
    }

    pub(super) fn drain(&self) -> Vec<Receipt> {
        let mut receipts: Vec<_> = self.lock().drain().map(|(_, (receipt, _))| receipt).collect();
        // A release gives back the whole lane, so the oldest goes first and the rest is already back.
        receipts.sort_by_key(|receipt| receipt.position);
        receipts
    }

    /// Renews what is held three times within each lease, for ever.
    ///
    /// It runs apart from handlers and fetches, so that neither a long handler nor a waiting fetch costs a lease.
    pub(super) async fn heartbeat(
        self: Arc<Self>,
        subscriber: Arc<dyn Subscriber>,
        clock: Arc<dyn Clock>,
        lease: Duration,
    ) {
        let period = (lease / 3).max(Duration::from_millis(1));
        let mut pause = period;
        loop {
            clock.sleep(pause).await;
            pause = period;
            let receipts: Vec<Receipt> = self.lock().values().map(|(receipt, _)| receipt.clone()).collect();
            if receipts.is_empty() {
                continue;
            }
            match subscriber.renew(&receipts).await {
                Ok(lost) => self.give_up(&lost),
                Err(error) => {
                    tracing::warn!(error = %error, held = receipts.len(), "leases could not be renewed");
                    pause = (period / 4).max(Duration::from_millis(1));
                }
            }
        }
    }

    fn give_up(&self, lost: &[Receipt]) {
        let mut receipts = self.lock();
        for receipt in lost {
            // One that was settled while it was being renewed is gone from here already.
            if let Some((_, signal)) = receipts.remove(&(receipt.position, receipt.fence)) {
                signal.trigger();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, (Receipt, Shutdown)>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
