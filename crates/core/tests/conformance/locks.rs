//! The laws of locks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::lock::LockHarness;
use pumasi_core::lock::{LockStore, MemoryLocks};
use pumasi_core::time::{Clock, ManualClock};

struct Memory {
    clock: ManualClock,
    locks: MemoryLocks,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { locks: MemoryLocks::new().with_clock(Arc::new(clock.clone())), clock }
    }
}

#[async_trait]
impl LockHarness for Memory {
    async fn open(&self) -> Arc<dyn LockStore> {
        Arc::new(self.locks.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

pumasi_core::lock_laws!(memory, Memory::new());

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use crate::proxy::{Line, Proxy, authority};
    use crate::redis_server::PATIENCE;
    use pumasi_core::conformance::Server;
    use pumasi_core::lock::RedisLocks;

    struct Redis {
        proxy: Proxy,
        prefix: String,
    }

    impl Redis {
        async fn new() -> Option<Self> {
            let url = Server::Redis.url("locks on Redis")?;
            let prefix = format!("test-{:016x}:", fastrand::u64(..));
            Some(Self { proxy: Proxy::to(authority(&url)).await, prefix })
        }
    }

    #[async_trait]
    impl LockHarness for Redis {
        async fn open(&self) -> Arc<dyn LockStore> {
            let url = format!("redis://{}", self.proxy.address());
            Arc::new(RedisLocks::open(&url).unwrap().with_prefix(&self.prefix).with_timeout(PATIENCE))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time + Duration::from_millis(2)).await;
        }

        async fn cut(&self) -> bool {
            self.proxy.set(Line::Cut);
            true
        }
    }

    pumasi_core::lock_laws!(
        redis,
        match Redis::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::postgres::Database;
    use crate::proxy::Line;
    use pumasi_core::lock::PostgresLocks;

    struct Postgres(Database);

    impl Postgres {
        async fn new() -> Option<Self> {
            let database = Database::open("locks on PostgreSQL").await?;
            PostgresLocks::new(database.pool()).migrate().await.unwrap();
            Some(Self(database))
        }
    }

    #[async_trait]
    impl LockHarness for Postgres {
        async fn open(&self) -> Arc<dyn LockStore> {
            Arc::new(PostgresLocks::new(self.0.pool()))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time + Duration::from_millis(2)).await;
        }

        fn patience(&self) -> Duration {
            // the server's timer, and the end of its process
            Duration::from_millis(300)
        }

        async fn cut(&self) -> bool {
            self.0.proxy().set(Line::Cut);
            true
        }
    }

    pumasi_core::lock_laws!(
        postgres,
        match Postgres::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );
}
