//! The laws of places.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::time::ManualClock;
use pumasi_saga::capacity::{CapacityStore, MemoryCapacity};
use pumasi_saga::conformance::capacity::CapacityHarness;

struct Memory {
    clock: ManualClock,
    store: MemoryCapacity,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { store: MemoryCapacity::new().with_clock(Arc::new(clock.clone())), clock }
    }
}

#[async_trait]
impl CapacityHarness for Memory {
    async fn open(&self) -> Arc<dyn CapacityStore> {
        Arc::new(self.store.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn is_durable(&self) -> bool {
        false
    }
}

pumasi_saga::capacity_laws!(memory, Memory::new());

#[cfg(feature = "embedded")]
mod on_sqlite {
    use super::*;
    use pumasi_core::database::open_sqlite;
    use pumasi_saga::capacity::SqliteCapacity;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    struct Sqlite {
        clock: ManualClock,
        folder: tempfile::TempDir,
    }

    #[async_trait]
    impl CapacityHarness for Sqlite {
        async fn open(&self) -> Arc<dyn CapacityStore> {
            let options = SqliteConnectOptions::new()
                .filename(self.folder.path().join("places.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal);
            let pool = open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap();
            let store = SqliteCapacity::new(pool).with_clock(Arc::new(self.clock.clone()));
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_saga::capacity_laws!(
        sqlite,
        Sqlite { clock: ManualClock::new(), folder: tempfile::tempdir().unwrap() }
    );
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_saga::capacity::PostgresCapacity;
    use pumasi_saga::conformance::Kept;

    struct Postgres(PostgresSchema);

    #[async_trait]
    impl CapacityHarness for Postgres {
        async fn open(&self) -> Arc<dyn CapacityStore> {
            let store = PostgresCapacity::new(self.0.pool.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }

    pumasi_saga::capacity_laws!(
        postgres,
        match PostgresSchema::new("places in PostgreSQL").await {
            Some(schema) => Postgres(schema),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use pumasi_core::conformance::Server;
    use pumasi_core::redis_link::RedisLink;
    use pumasi_saga::capacity::RedisCapacity;
    use pumasi_saga::conformance::Kept;

    struct Redis {
        url: String,
        prefix: String,
    }

    #[async_trait]
    impl CapacityHarness for Redis {
        async fn open(&self) -> Arc<dyn CapacityStore> {
            let link = RedisLink::open(&self.url).unwrap().with_timeout(Duration::from_secs(20));
            Arc::new(RedisCapacity::new(link).with_prefix(&self.prefix))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }

    pumasi_saga::capacity_laws!(
        redis,
        match Server::Redis.url("places on Redis") {
            Some(url) => Redis { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) },
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
