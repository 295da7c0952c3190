//! The laws of views.

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_search::conformance::views::ViewHarness;
use pumasi_search::views::{MemoryViews, ViewStore};

struct Memory(MemoryViews);

#[async_trait]
impl ViewHarness for Memory {
    async fn open(&self) -> Arc<dyn ViewStore> {
        Arc::new(self.0.clone())
    }
}

pumasi_search::view_laws!(memory, Memory(MemoryViews::new()));

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::*;
    use pumasi_core::database::open_sqlite;
    use pumasi_search::views::SqliteViews;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    struct Sqlite(tempfile::TempDir);

    #[async_trait]
    impl ViewHarness for Sqlite {
        async fn open(&self) -> Arc<dyn ViewStore> {
            let options = SqliteConnectOptions::new()
                .filename(self.0.path().join("views.db"))
                .create_if_missing(true)
                .busy_timeout(std::time::Duration::from_mins(1))
                .journal_mode(SqliteJournalMode::Wal);
            let pool = open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap();
            let store = SqliteViews::new(pool);
            store.migrate().await.unwrap();
            Arc::new(store)
        }
    }

    pumasi_search::view_laws!(sqlite, Sqlite(tempfile::tempdir().unwrap()));
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_search::conformance::Kept;
    use pumasi_search::views::PostgresViews;

    struct Postgres(PostgresSchema);

    #[async_trait]
    impl ViewHarness for Postgres {
        async fn open(&self) -> Arc<dyn ViewStore> {
            let store = PostgresViews::new(self.0.pool.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }
    }

    pumasi_search::view_laws!(
        postgres,
        match PostgresSchema::new("views in PostgreSQL").await {
            Some(schema) => Postgres(schema),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use std::time::Duration;

    use pumasi_core::conformance::Server;
    use pumasi_core::redis_link::RedisLink;
    use pumasi_search::conformance::Kept;
    use pumasi_search::views::RedisViews;

    struct Redis {
        url: String,
        prefix: String,
    }

    impl Redis {
        fn new() -> Option<Self> {
            let url = Server::Redis.url("views on Redis")?;
            Some(Self { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) })
        }
    }

    #[async_trait]
    impl ViewHarness for Redis {
        async fn open(&self) -> Arc<dyn ViewStore> {
            let link = RedisLink::open(&self.url).unwrap().with_timeout(Duration::from_secs(20));
            Arc::new(RedisViews::new(link).with_prefix(&self.prefix))
        }
    }

    pumasi_search::view_laws!(
        redis,
        match Redis::new() {
            Some(redis) => redis,
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
