//! The laws of boards.

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_search::conformance::leaderboard::BoardHarness;
use pumasi_search::leaderboard::{BoardStore, MemoryBoards};

struct Memory {
    numbers: MemoryBoards<u64>,
    names: MemoryBoards<String>,
}

#[async_trait]
impl BoardHarness for Memory {
    async fn open(&self) -> Arc<dyn BoardStore<u64>> {
        Arc::new(self.numbers.clone())
    }

    async fn open_names(&self) -> Arc<dyn BoardStore<String>> {
        Arc::new(self.names.clone())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

pumasi_search::board_laws!(memory, Memory { numbers: MemoryBoards::new(), names: MemoryBoards::new() });

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::*;
    use pumasi_search::leaderboard::{MemberId, SqliteBoards};
    use std::num::NonZeroUsize;
    use tokio::sync::Mutex;

    /// Hands out one store as long as somebody has it, and opens the file again when nobody does.
    struct Sqlite {
        folder: tempfile::TempDir,
        windows: NonZeroUsize,
        opened: Mutex<std::sync::Weak<dyn BoardStore<u64>>>,
    }

    impl Sqlite {
        fn with_windows(windows: usize) -> Self {
            let opened: std::sync::Weak<SqliteBoards<u64>> = std::sync::Weak::new();
            Self {
                folder: tempfile::tempdir().unwrap(),
                windows: NonZeroUsize::new(windows).unwrap(),
                opened: Mutex::new(opened),
            }
        }

        async fn new_store<M: MemberId>(&self, name: &str) -> SqliteBoards<M> {
            SqliteBoards::open_with_windows(self.folder.path().join(name), self.windows).await.unwrap()
        }
    }

    #[async_trait]
    impl BoardHarness for Sqlite {
        async fn open(&self) -> Arc<dyn BoardStore<u64>> {
            let mut opened = self.opened.lock().await;
            if let Some(store) = opened.upgrade() {
                return store;
            }
            let store: Arc<dyn BoardStore<u64>> = Arc::new(self.new_store("numbers.db").await);
            *opened = Arc::downgrade(&store);
            store
        }

        async fn open_names(&self) -> Arc<dyn BoardStore<String>> {
            Arc::new(self.new_store("names.db").await)
        }
    }

    pumasi_search::board_laws!(sqlite, Sqlite::with_windows(64));
    // Windows are read from the file again and again.
    pumasi_search::board_laws!(sqlite_with_little_memory, Sqlite::with_windows(1));
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_search::conformance::Kept;
    use pumasi_search::leaderboard::PostgresBoards;

    struct Postgres(PostgresSchema);

    impl Postgres {
        async fn boards(&self) -> PostgresBoards {
            let store = PostgresBoards::new(self.0.pool.clone());
            store.migrate().await.unwrap();
            store
        }
    }

    #[async_trait]
    impl BoardHarness for Postgres {
        async fn open(&self) -> Arc<dyn BoardStore<u64>> {
            Arc::new(self.boards().await)
        }

        async fn open_names(&self) -> Arc<dyn BoardStore<String>> {
            Arc::new(self.boards().await)
        }
    }

    pumasi_search::board_laws!(
        postgres,
        match PostgresSchema::new("boards in PostgreSQL").await {
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
    use pumasi_search::leaderboard::RedisBoards;

    struct Redis {
        url: String,
        prefix: String,
    }

    impl Redis {
        fn new() -> Option<Self> {
            let url = Server::Redis.url("boards on Redis")?;
            Some(Self { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) })
        }

        fn boards(&self) -> RedisBoards {
            let link = RedisLink::open(&self.url).unwrap().with_timeout(Duration::from_secs(20));
            RedisBoards::new(link).with_prefix(&self.prefix)
        }
    }

    #[async_trait]
    impl BoardHarness for Redis {
        async fn open(&self) -> Arc<dyn BoardStore<u64>> {
            Arc::new(self.boards())
        }

        async fn open_names(&self) -> Arc<dyn BoardStore<String>> {
            Arc::new(self.boards())
        }
    }

    pumasi_search::board_laws!(
        redis,
        match Redis::new() {
            Some(redis) => redis,
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
