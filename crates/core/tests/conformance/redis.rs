//! The bus on a Redis server, each law under a prefix of its own.
#![expect(clippy::unwrap_used, reason = "a harness that cannot be set up fails its tests")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::bus::BusHarness;
use pumasi_core::conformance::{Kept, Server};
use pumasi_core::event::{EventBus, EventId, RedisBusOptions};
use pumasi_core::time::ManualClock;

struct Redis {
    clock: ManualClock,
    options: RedisBusOptions,
}

impl Redis {
    /// `None`, after saying so, where there is no server.
    fn new() -> Option<Self> {
        let test = std::thread::current().name().unwrap_or("a law on redis").to_owned();
        let clock = ManualClock::new();
        let options = RedisBusOptions::new(Server::Redis.url(&test)?)
            .with_prefix(format!("laws-{}", EventId::random()))
            .with_clock(Arc::new(clock.clone()));
        Some(Self { clock, options })
    }
}

#[async_trait]
impl BusHarness for Redis {
    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(self.options.clone().open().await.unwrap())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pumasi_core::bus_laws!(
    bus,
    match Redis::new() {
        Some(harness) => harness,
        None => return Ok(Kept::Whole),
    }
);
