//! The laws of stores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::time::ManualClock;
use pumasi_saga::conformance::store::StoreHarness;
use pumasi_saga::store::{MemoryStore, SagaStore};

struct Memory {
    clock: ManualClock,
    store: MemoryStore,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { store: MemoryStore::with_clock(Arc::new(clock.clone())), clock }
    }
}

#[async_trait]
impl StoreHarness for Memory {
    async fn open(&self) -> Arc<dyn SagaStore> {
        Arc::new(self.store.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pumasi_saga::store_laws!(memory, Memory::new());

#[cfg(feature = "embedded")]
mod on_sqlite {
    use super::*;
    use pumasi_saga::store::SqliteStoreOptions;

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
    impl StoreHarness for Sqlite {
        async fn open(&self) -> Arc<dyn SagaStore> {
            let path = self.folder.path().join("sagas.db");
            let options = SqliteStoreOptions::new(path).with_clock(Arc::new(self.clock.clone()));
            Arc::new(options.open().await.unwrap())
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }

        async fn cut(&self) -> bool {
            use sqlx::{AssertSqlSafe, ConnectOptions, Row};

            let file =
                sqlx::sqlite::SqliteConnectOptions::new().filename(self.folder.path().join("sagas.db"));
            let mut connection = file.connect().await.unwrap();
            let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'pumasi_saga%'";
            for table in sqlx::query(tables).fetch_all(&mut connection).await.unwrap() {
                let drop = format!("DROP TABLE {}", table.get::<String, _>(0));
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
            }
            true
        }
    }

    pumasi_saga::store_laws!(sqlite, Sqlite::new());
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::schema::Schema;
    use pumasi_saga::conformance::Kept;
    use pumasi_saga::store::PostgresStore;

    #[async_trait]
    impl StoreHarness for Schema {
        async fn open(&self) -> Arc<dyn SagaStore> {
            let store = PostgresStore::new(self.pool.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }

        async fn cut(&self) -> bool {
            let tables = "DROP TABLE pumasi_saga, pumasi_saga_worker, pumasi_saga_record, pumasi_saga_signal";
            sqlx::raw_sql(tables).execute(&self.pool).await.unwrap();
            true
        }
    }

    pumasi_saga::store_laws!(
        postgres,
        match Schema::new("sagas in PostgreSQL").await {
            Some(schema) => schema,
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use pumasi_core::conformance::Server;
    use pumasi_saga::conformance::Kept;
    use pumasi_saga::store::RedisStore;

    struct Redis {
        url: String,
        prefix: String,
    }

    impl Redis {
        fn new() -> Option<Self> {
            let url = Server::Redis.url("sagas on Redis")?;
            Some(Self { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) })
        }
    }

    #[async_trait]
    impl StoreHarness for Redis {
        async fn open(&self) -> Arc<dyn SagaStore> {
            Arc::new(RedisStore::open(&self.url).unwrap().with_prefix(&self.prefix))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }

        async fn cut(&self) -> bool {
            let client = ::redis::Client::open(self.url.as_str()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            // Values of another type under the store's keys: every script that comes to them fails.
            for key in ["workers", "ids", "wake"] {
                let key = format!("{}{key}", self.prefix);
                ::redis::cmd("SET")
                    .arg(key)
                    .arg("")
                    .arg("EX")
                    .arg(60)
                    .exec_async(&mut connection)
                    .await
                    .unwrap();
            }
            true
        }
    }

    pumasi_saga::store_laws!(
        redis,
        match Redis::new() {
            Some(redis) => redis,
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
