//! The outboxes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::conformance::outbox::{OpenTransaction, OutboxHarness};
use pumasi_core::event::{Envelope, OutboxStore};

#[cfg(feature = "postgres")]
mod on_postgres {
    use pumasi_core::event::PostgresOutbox;
    use sqlx::{Postgres, Transaction};

    use super::*;
    use pumasi_core::conformance::PostgresSchema;

    struct Harness {
        schema: PostgresSchema,
        outbox: PostgresOutbox,
    }

    impl Harness {
        async fn new() -> Option<Self> {
            let schema = PostgresSchema::new("the laws of the outbox on PostgreSQL").await?;
            let outbox = PostgresOutbox::new(schema.pool.clone());
            outbox.migrate().await.unwrap();
            Some(Self { schema, outbox })
        }
    }

    struct Open(PostgresOutbox, Transaction<'static, Postgres>);

    #[async_trait]
    impl OpenTransaction for Open {
        async fn write(&mut self, events: &[Envelope]) -> Result<()> {
            self.0.publish_in(&mut self.1, events).await
        }

        async fn commit(self: Box<Self>) -> Result<()> {
            Ok(self.1.commit().await?)
        }

        async fn roll_back(self: Box<Self>) -> Result<()> {
            Ok(self.1.rollback().await?)
        }
    }

    #[async_trait]
    impl OutboxHarness for Harness {
        async fn open(&self) -> Arc<dyn OutboxStore> {
            Arc::new(PostgresOutbox::new(self.schema.pool.clone()))
        }

        async fn begin(&self) -> Box<dyn OpenTransaction> {
            Box::new(Open(self.outbox.clone(), self.schema.pool.begin().await.unwrap()))
        }

        fn many_writers(&self) -> bool {
            true
        }

        async fn damage(&self, key: &str) {
            let damage = "UPDATE pumasi_outbox_event SET body = '{\"id\":' WHERE body::json ->> 'key' = $1";
            let done = sqlx::query(damage).bind(key).execute(&self.schema.pool).await.unwrap();
            assert_eq!(done.rows_affected(), 1);
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }

    pumasi_core::outbox_laws!(postgres, Harness::new().await);
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use pumasi_core::database::open_sqlite;
    use pumasi_core::event::SqliteOutbox;
    use pumasi_core::time::ManualClock;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
    use sqlx::{Sqlite, SqlitePool, Transaction};

    use super::*;

    struct Harness {
        _folder: tempfile::TempDir,
        clock: ManualClock,
        pool: SqlitePool,
        outbox: SqliteOutbox,
    }

    impl Harness {
        async fn new() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let file = SqliteConnectOptions::new()
                .filename(folder.path().join("service.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal);
            let pool = open_sqlite(SqlitePoolOptions::new(), file).await.unwrap();
            let clock = ManualClock::new();
            let outbox = SqliteOutbox::new(pool.clone()).with_clock(Arc::new(clock.clone()));
            outbox.migrate().await.unwrap();
            Some(Self { _folder: folder, clock, pool, outbox })
        }
    }

    struct Open(SqliteOutbox, Transaction<'static, Sqlite>);

    #[async_trait]
    impl OpenTransaction for Open {
        async fn write(&mut self, events: &[Envelope]) -> Result<()> {
            self.0.publish_in(&mut self.1, events).await
        }

        async fn commit(self: Box<Self>) -> Result<()> {
            Ok(self.1.commit().await?)
        }

        async fn roll_back(self: Box<Self>) -> Result<()> {
            Ok(self.1.rollback().await?)
        }
    }

    #[async_trait]
    impl OutboxHarness for Harness {
        async fn open(&self) -> Arc<dyn OutboxStore> {
            Arc::new(self.outbox.clone())
        }

        async fn begin(&self) -> Box<dyn OpenTransaction> {
            Box::new(Open(self.outbox.clone(), self.pool.begin_with("BEGIN IMMEDIATE").await.unwrap()))
        }

        fn many_writers(&self) -> bool {
            false
        }

        async fn damage(&self, key: &str) {
            let damage = "UPDATE pumasi_outbox_event SET body = '{\"id\":' WHERE body ->> 'key' = ?1";
            let done = sqlx::query(damage).bind(key).execute(&self.pool).await.unwrap();
            assert_eq!(done.rows_affected(), 1);
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_core::outbox_laws!(sqlite, Harness::new().await);
}

#[cfg(feature = "redis")]
mod on_redis {
    use std::time::Instant;

    use pumasi_core::conformance::Server;
    use pumasi_core::event::{MemoryBus, RedisOutbox, Relay, Shutdown, State};
    use pumasi_core::redis_link::RedisLink;

    use super::*;
    use crate::redis_server::RedisServer;

    struct Harness {
        link: RedisLink,
        outbox: RedisOutbox,
    }

    impl Harness {
        fn new() -> Option<Self> {
            let link = RedisLink::open(&Server::Redis.url("the laws of the outbox on Redis")?).unwrap();
            let prefix = format!("test-{:016x}:", fastrand::u64(..));
            let outbox = RedisOutbox::new(link.clone()).with_prefix(&prefix);
            Some(Self { link, outbox })
        }
    }

    /// What a script would hold until it writes: on Redis a transaction is one call.
    struct Open(RedisOutbox, Vec<Envelope>);

    #[async_trait]
    impl OpenTransaction for Open {
        async fn write(&mut self, events: &[Envelope]) -> Result<()> {
            RedisOutbox::pairs(events)?;
            self.1.extend_from_slice(events);
            Ok(())
        }

        async fn commit(self: Box<Self>) -> Result<()> {
            self.0.write(&self.1).await
        }

        async fn roll_back(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    #[async_trait]
    impl OutboxHarness for Harness {
        async fn open(&self) -> Arc<dyn OutboxStore> {
            Arc::new(self.outbox.clone())
        }

        async fn begin(&self) -> Box<dyn OpenTransaction> {
            Box::new(Open(self.outbox.clone(), Vec::new()))
        }

        // What is written before the commit is not on the server yet, and so nobody waits for it.
        fn many_writers(&self) -> bool {
            false
        }

        async fn damage(&self, key: &str) {
            let script = ::redis::Script::new(
                r#"for shard = 0, 63 do
                    local key = ARGV[1] .. 'shard:' .. shard
                    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                        if member:find('"key":"' .. ARGV[2] .. '"', 1, true) then
                            local seq, at = member:match('^(%d+):(%d+):')
                            redis.call('ZREM', key, member)
                            redis.call('ZADD', key, seq, seq .. ':' .. at .. ':{"id":')
                            return 1
                        end
                    end
                end
                return 0"#,
            );
            let arguments = [self.outbox.prefix().as_bytes(), key.as_bytes()];
            let done: i64 = self.link.run("damaging an event", &script, &[], &arguments).await.unwrap();
            assert_eq!(done, 1);
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }
    }

    pumasi_core::outbox_laws!(redis, Harness::new());

    #[test]
    fn a_full_server_can_be_emptied_by_the_relay() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let limits = ["--maxmemory", "6mb", "--maxmemory-policy", "noeviction"];
            let test = "the outbox on a Redis server that is full";
            let Some(server) = RedisServer::start(test, &limits).await else { return };
            let outbox = RedisOutbox::new(RedisLink::open(&server.url()).unwrap());
            let text = "달".repeat(300);
            let mut written = 0_u64;
            let error = loop {
                let batch: Vec<_> = (0..100)
                    .map(|n| Envelope::new("posts", format!("key-{n}"), State::Updated, written + 1))
                    .map(|event| event.with_payload(&text).unwrap())
                    .collect();
                match outbox.write(&batch).await {
                    Ok(()) => written += 1,
                    Err(error) => break error,
                }
            };
            assert!(written > 0 && error.retry().is_retryable(), "{written}: {error}");
            let (bus, shutdown) = (MemoryBus::new(), Shutdown::new());
            let relay = Relay::new(outbox.clone(), bus);
            let running = tokio::spawn(relay.run(shutdown.clone()));
            let deadline = Instant::now() + Duration::from_secs(20);
            while outbox.backlog().await.unwrap().pending > 0 {
                assert!(Instant::now() < deadline, "the relay did not empty it");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            shutdown.trigger();
            running.await.unwrap().unwrap();
            outbox.write(&[Envelope::new("posts", "key-1", State::Updated, written + 2)]).await.unwrap();
        });
    }
}
