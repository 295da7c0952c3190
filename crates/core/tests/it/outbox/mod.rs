//! Outbox, relay, inbox and projection on real databases: at the same time, cut off, stalled, killed.

#[cfg(feature = "sqlite")]
mod inbox;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod kills;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod projection;
#[cfg(feature = "postgres")]
mod proxy;
#[cfg(feature = "sqlite")]
mod relay;
#[cfg(feature = "postgres")]
mod restart;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::{Envelope, EventBus, EventId, MemoryBus, Settlement, State, Subscription};
use pumasi_core::time::SystemClock;

const TOPIC: &str = "posts";
const MANY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// A bus in memory that forgets nothing that these tests publish.
fn memory_bus() -> MemoryBus {
    MemoryBus::with_retained(Arc::new(SystemClock), 1_000_000)
}

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new(TOPIC, key, State::Updated, version)
}

/// Everything that was published, in order.
async fn published(bus: &dyn EventBus) -> Vec<Arc<Envelope>> {
    let group = format!("reader-{}", EventId::random());
    let member = bus.subscribe(&Subscription::new(group, [TOPIC])).await.unwrap();
    let mut all = Vec::new();
    loop {
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        if taken.is_empty() {
            return all;
        }
        for delivery in taken {
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            all.push(delivery.event);
        }
    }
}

fn versions_by_key(events: &[Arc<Envelope>]) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in events {
        all.entry(event.key.clone()).or_default().push(event.version);
    }
    all
}

/// Waits until `done` says so.
async fn until<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(3);
    while !done().await {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
