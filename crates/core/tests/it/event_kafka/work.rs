//! What handlers do in these tests: one effect per event, by its id, in the order in which it came.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::event::{Delivery, EventId, Handler};

/// Effects of every handler that shares it.
#[derive(Clone, Default)]
pub(super) struct Effects(Arc<Mutex<Done>>);

#[derive(Default)]
pub(super) struct Done {
    ids: HashSet<EventId>,
    /// The versions of each key, in the order of their effects.
    pub(super) order: BTreeMap<String, Vec<u64>>,
    /// Events that came again after their effect.
    pub(super) repeated: usize,
}

impl Effects {
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().ids.len()
    }

    /// Checks that each of `keys` has the versions from 1 to `versions`, in order; returns how many came again.
    pub(super) fn check(&self, keys: usize, versions: u64) -> usize {
        let done = self.0.lock().unwrap();
        assert_eq!(done.order.len(), keys);
        for (key, order) in &done.order {
            assert!(order.iter().copied().eq(1..=versions), "{key}: {order:?}");
        }
        done.repeated
    }
}

#[async_trait]
impl Handler for Effects {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
        let mut done = self.0.lock().unwrap();
        let event = &delivery.event;
        if done.ids.insert(event.id) {
            done.order.entry(event.key.clone()).or_default().push(event.version);
        } else {
            done.repeated += 1;
        }
        Ok(())
    }
}
