//! The laws of the seams, on every backend; those that need a server are skipped, visibly, where there is none.
#![cfg_attr(
    any(feature = "kafka", feature = "redis", feature = "postgres", feature = "sqlite"),
    expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::bus::BusHarness;
use pumasi_core::event::{EventBus, MemoryBus};
use pumasi_core::time::ManualClock;

mod idempotency;
#[cfg(feature = "sqlite")]
#[expect(clippy::panic, reason = "what is not as set up fails the test")]
mod idempotency_faults;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(all(feature = "redis", feature = "postgres"))]
#[expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "children speak by their output, and a wrong role fails"
)]
mod lock_faults;
mod locks;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
mod projection;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod proxy;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_cache;
#[cfg(feature = "redis")]
mod redis_server;
mod rooms;
#[cfg(feature = "schedule")]
mod schedules;

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

mod caches {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use pumasi_core::cache::{Cache, MemoryCache};
    use pumasi_core::conformance::cache::CacheHarness;
    use pumasi_core::time::ManualClock;

    struct Harness {
        clock: ManualClock,
        cache: Arc<dyn Cache>,
    }

    #[async_trait]
    impl CacheHarness for Harness {
        async fn open(&self) -> Arc<dyn Cache> {
            Arc::clone(&self.cache)
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    fn on_a_clock<C: Cache + 'static>(make: impl Fn(Arc<ManualClock>) -> C) -> Harness {
        let clock = ManualClock::new();
        Harness { cache: Arc::new(make(Arc::new(clock.clone()))), clock }
    }

    pumasi_core::cache_laws!(memory, on_a_clock(|clock| MemoryCache::new(1 << 24).with_clock(clock)));

    #[cfg(feature = "cache")]
    pumasi_core::cache_laws!(
        moka,
        on_a_clock(|clock| pumasi_core::cache::MokaCache::new(1 << 24).with_clock(clock))
    );
}

mod models {
    use std::sync::Arc;

    use async_trait::async_trait;
    use pumasi_core::ErrorKind;
    use pumasi_core::conformance::model::{ChatHarness, EmbedderHarness};
    use pumasi_core::model::{
        Cassette, ChatModel, Embedder, HashingEmbedder, RecordedEmbedder, RecordedModel, Reply,
        ScriptedModel, Usage,
    };
    use pumasi_core::time::SystemClock;

    /// Scripted models, each as it is or behind a recorder.
    #[derive(Default)]
    struct Scripted {
        recorded: bool,
        last: std::sync::Mutex<Option<ScriptedModel>>,
    }

    impl Scripted {
        fn recorded() -> Self {
            Self { recorded: true, ..Self::default() }
        }

        fn open(&self, reply: Reply) -> Arc<dyn ChatModel> {
            let model = ScriptedModel::always(reply).with_clock(SystemClock);
            *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(model.clone());
            if self.recorded {
                return Arc::new(RecordedModel::record(&Cassette::in_memory(), model));
            }
            Arc::new(model)
        }
    }

    fn pieces(text: &str) -> Reply {
        Reply::in_pieces(text, std::num::NonZeroUsize::MIN.saturating_add(2))
    }

    #[async_trait]
    impl ChatHarness for Scripted {
        async fn answering(&self, text: &str, usage: Usage) -> Arc<dyn ChatModel> {
            self.open(pieces(text).with_usage(usage))
        }

        async fn silent(&self) -> Option<Arc<dyn ChatModel>> {
            Some(self.open(Reply::hang()))
        }

        async fn breaking(&self, text: &str) -> Option<Arc<dyn ChatModel>> {
            Some(self.open(pieces(text).cut(ErrorKind::Unavailable)))
        }

        fn busy(&self) -> Option<usize> {
            let last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            last.as_ref().map(ScriptedModel::open_calls)
        }
    }

    pumasi_core::chat_laws!(scripted, Scripted::default());
    pumasi_core::chat_laws!(recorded, Scripted::recorded());

    struct Hashing;

    #[async_trait]
    impl EmbedderHarness for Hashing {
        async fn open(&self) -> Arc<dyn Embedder> {
            Arc::new(HashingEmbedder::new())
        }
    }

    struct Replayed;

    #[async_trait]
    impl EmbedderHarness for Replayed {
        async fn open(&self) -> Arc<dyn Embedder> {
            Arc::new(RecordedEmbedder::record(&Cassette::in_memory(), HashingEmbedder::new()).only_missing())
        }
    }

    pumasi_core::embedder_laws!(hashing, Hashing);
    pumasi_core::embedder_laws!(replayed, Replayed);
}
