//! The laws of the seams, on every backend that needs no server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::bus::BusHarness;
use pumasi_core::event::{EventBus, MemoryBus};
use pumasi_core::time::ManualClock;

struct Memory {
    clock: ManualClock,
    bus: MemoryBus,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { bus: MemoryBus::with_clock(Arc::new(clock.clone())), clock }
    }
}

#[async_trait]
impl BusHarness for Memory {
    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(self.bus.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pumasi_core::bus_laws!(memory, Memory::new());

#[cfg(feature = "sqlite")]
#[expect(clippy::unwrap_used, reason = "a harness that cannot be set up fails its tests")]
mod on_sqlite {
    use super::*;
    use pumasi_core::event::SqliteBusOptions;

    struct Sqlite {
        clock: ManualClock,
        folder: tempfile::TempDir,
    }

    impl Sqlite {
        fn new() -> Self {
            Self { clock: ManualClock::new(), folder: tempfile::tempdir().unwrap() }
        }
    }

    #[async_trait]
    impl BusHarness for Sqlite {
        async fn open(&self) -> Arc<dyn EventBus> {
            let path = self.folder.path().join("events.db");
            let options = SqliteBusOptions::new(path).with_clock(Arc::new(self.clock.clone()));
            Arc::new(options.open().await.unwrap())
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_core::bus_laws!(sqlite, Sqlite::new());
}
