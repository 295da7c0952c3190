//! The laws of reactions.

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_search::conformance::reactions::ReactionHarness;
use pumasi_search::reactions::{MemoryReactions, Reactions};

struct Memory(MemoryReactions);

#[async_trait]
impl ReactionHarness for Memory {
    async fn open(&self) -> Arc<dyn Reactions> {
        Arc::new(self.0.clone())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// The vote of somebody whose reaction was deleted by hand: it is counted twice.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
fn again(item: &str) -> pumasi_search::reactions::Vote {
    use pumasi_search::reactions::{Reaction, Vote};
    Vote::new(item, "p", Reaction::Like, pumasi_core::time::Timestamp::from_micros(1))
}

pumasi_search::reaction_laws!(memory, Memory(MemoryReactions::new()));

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::*;
    use pumasi_core::database::open_sqlite;
    use pumasi_search::reactions::SqliteReactions;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    struct Sqlite(tempfile::TempDir);

    impl Sqlite {
        async fn pool(&self) -> sqlx::SqlitePool {
            let options = SqliteConnectOptions::new()
                .filename(self.0.path().join("reactions.db"))
                .create_if_missing(true)
                .busy_timeout(std::time::Duration::from_mins(1))
                .journal_mode(SqliteJournalMode::Wal);
            open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap()
        }
    }

    #[async_trait]
    impl ReactionHarness for Sqlite {
        async fn open(&self) -> Arc<dyn Reactions> {
            let store = SqliteReactions::new(self.pool().await);
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn spoil(&self, item: &str) -> bool {
            let delete = "DELETE FROM pumasi_reaction WHERE item = ?1 AND person = 'p'";
            sqlx::query(delete).bind(item).execute(&self.pool().await).await.unwrap();
            self.open().await.cast(&[again(item)]).await.unwrap();
            true
        }
    }

    pumasi_search::reaction_laws!(sqlite, Sqlite(tempfile::tempdir().unwrap()));
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_search::conformance::Kept;
    use pumasi_search::reactions::PostgresReactions;

    struct Postgres(PostgresSchema);

    #[async_trait]
    impl ReactionHarness for Postgres {
        async fn open(&self) -> Arc<dyn Reactions> {
            let store = PostgresReactions::new(self.0.pool.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn spoil(&self, item: &str) -> bool {
            let delete = "DELETE FROM pumasi_reaction WHERE item = $1 AND person = 'p'";
            sqlx::query(delete).bind(item).execute(&self.0.pool).await.unwrap();
            self.open().await.cast(&[again(item)]).await.unwrap();
            true
        }
    }

    pumasi_search::reaction_laws!(
        postgres,
        match PostgresSchema::new("reactions in PostgreSQL").await {
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
    use pumasi_search::reactions::RedisReactions;

    struct Redis {
        url: String,
        prefix: String,
    }

    impl Redis {
        fn new() -> Option<Self> {
            let url = Server::Redis.url("reactions on Redis")?;
            Some(Self { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) })
        }
    }

    #[async_trait]
    impl ReactionHarness for Redis {
        async fn open(&self) -> Arc<dyn Reactions> {
            let link = RedisLink::open(&self.url).unwrap().with_timeout(Duration::from_secs(20));
            Arc::new(RedisReactions::new(link).with_prefix(&self.prefix))
        }

        async fn spoil(&self, item: &str) -> bool {
            let mut delete = ::redis::cmd("HDEL");
            delete.arg(format!("{}{item}", self.prefix)).arg("pp");
            let link = RedisLink::open(&self.url).unwrap();
            assert_eq!(link.query::<u64>("deleting by hand", &delete).await.unwrap(), 1);
            self.open().await.cast(&[again(item)]).await.unwrap();
            true
        }
    }

    pumasi_search::reaction_laws!(
        redis,
        match Redis::new() {
            Some(redis) => redis,
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
