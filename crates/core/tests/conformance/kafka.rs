//! The bus on a Kafka broker, each law with topics and groups of its own.
#![expect(clippy::unwrap_used, reason = "a harness that cannot be set up fails its tests")]

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::bus::BusHarness;
use pumasi_core::conformance::{Kept, Server};
use pumasi_core::event::{EventBus, EventId, KafkaBusOptions};
use pumasi_core::time::ManualClock;

struct Kafka {
    clock: ManualClock,
    options: KafkaBusOptions,
}

impl Kafka {
    /// `None`, after saying so, where there is no broker.
    fn new() -> Option<Self> {
        let test = std::thread::current().name().unwrap_or("a law on kafka").to_owned();
        let clock = ManualClock::new();
        let options = KafkaBusOptions::new(Server::Kafka.url(&test)?)
            .with_prefix(format!("law-{}.", EventId::random()))
            .with_create_topics(NonZeroU32::new(2).unwrap(), NonZeroU16::MIN)
            .with_clock(Arc::new(clock.clone()));
        Some(Self { clock, options })
    }
}

#[async_trait]
impl BusHarness for Kafka {
    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(self.options.clone().open().await.unwrap())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn handover(&self) -> Duration {
        Duration::from_mins(1)
    }
}

pumasi_core::bus_laws!(
    bus,
    match Kafka::new() {
        Some(harness) => harness,
        None => return Ok(Kept::Whole),
    }
);
