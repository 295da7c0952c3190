//! The deliveries that a consumer holds, and the heartbeat that keeps them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::control::Shutdown;
use crate::event::{Delivery, Receipt, Subscriber};
use crate::resilience::within;
use crate::time::Clock;

/// By topic and position.
type Receipts = BTreeMap<Arc<str>, HashMap<u128, (Receipt, Shutdown)>>;

/// Everything that was fetched and not settled, with the signal that tells its lane of a lost lease.
#[derive(Debug, Default)]
pub(super) struct Held {
    receipts: Mutex<Receipts>,
}

impl Held {
    pub(super) fn add(&self, run: &[Delivery], lost: &Shutdown) {
        let mut receipts = self.lock();
        for Delivery { receipt, .. } in run {
            let of_topic = match receipts.get_mut(&receipt.topic) {
                Some(of_topic) => of_topic,
                None => receipts.entry(Arc::clone(&receipt.topic)).or_default(),
            };
            if let Some((_, older)) = of_topic.insert(receipt.position, (receipt.clone(), lost.clone())) {
                // Its lease lapsed without a heartbeat noticing, and it came to this member again.
                older.trigger();
            }
        }
    }

    pub(super) fn remove(&self, receipt: &Receipt) {
        take_out(&mut self.lock(), receipt);
    }

    pub(super) fn drain(&self) -> Vec<Receipt> {
        let held = std::mem::take(&mut *self.lock());
        let mut receipts: Vec<_> =
            held.into_values().flat_map(HashMap::into_values).map(|(receipt, _)| receipt).collect();
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
        // When the leases that are held were last known to run anew.
        let mut renewed = clock.instant();
        loop {
            clock.sleep(pause).await;
            pause = period;
            let receipts: Vec<Receipt> =
                self.lock().values().flat_map(HashMap::values).map(|(receipt, _)| receipt.clone()).collect();
            let asked = clock.instant();
            if receipts.is_empty() {
                renewed = asked;
                continue;
            }
            // A connection that was cut without a word must not hide that the leases end.
            let left = lease.saturating_sub(asked.saturating_duration_since(renewed)).max(period / 4);
            match within(&*clock, left, subscriber.renew(&receipts)).await {
                Some(Ok(lost)) => {
                    renewed = asked;
                    self.give_up(&lost);
                }
                failed => {
                    if let Some(Err(error)) = failed {
                        tracing::warn!(error = %error, held = receipts.len(), "leases could not be renewed");
                    }
                    pause = (period / 4).max(Duration::from_millis(1));
                    if clock.instant().saturating_duration_since(renewed) >= lease {
                        // They have ended: others may be at work on them.
                        tracing::warn!(held = receipts.len(), "leases ended, as nobody renewed them in time");
                        self.give_up(&receipts);
                        renewed = clock.instant();
                    }
                }
            }
        }
    }

    fn give_up(&self, lost: &[Receipt]) {
        let mut receipts = self.lock();
        for receipt in lost {
            // One that was settled while it was being renewed is gone from here already.
            if let Some((_, signal)) = take_out(&mut receipts, receipt) {
                signal.trigger();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Receipts> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a receipt out, unless its event came here again and is held under a newer one.
fn take_out(receipts: &mut Receipts, receipt: &Receipt) -> Option<(Receipt, Shutdown)> {
    match receipts.get_mut(&receipt.topic)?.entry(receipt.position) {
        Entry::Occupied(held) if held.get().0.fence == receipt.fence => Some(held.remove()),
        _ => None,
    }
}
