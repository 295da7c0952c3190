//! The laws of stores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::time::ManualClock;
use pumasi_saga::conformance::store::StoreHarness;
use pumasi_saga::store::{MemoryStore, SagaStore, WatchedStore};

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

struct WatchedMemory(Memory);

#[async_trait]
impl StoreHarness for WatchedMemory {
    async fn open(&self) -> Arc<dyn SagaStore> {
        Arc::new(WatchedStore::new(self.0.store.clone()))
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }
}

pumasi_saga::store_laws!(watched, WatchedMemory(Memory::new()));

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

/// The first commit of a saga, which the worker goes on holding (or not).
#[cfg(any(feature = "postgres", feature = "redis"))]
fn begun(n: u32, worker: pumasi_saga::store::WorkerId, holds: bool) -> pumasi_saga::store::Commit {
    use pumasi_saga::store::{Commit, Head, Lease, SagaId, Status};

    let key = n.to_string();
    Commit {
        head: Head {
            id: SagaId::of("leaving", &key),
            saga: "leaving".into(),
            definition: 1,
            key: key.into(),
            status: Status::Running,
            step: "a".into(),
            due: Some(pumasi_core::time::Timestamp::from_micros(0)),
            reason: None,
        },
        worker,
        lease: Lease::Take(1),
        expected: 0,
        version: 1,
        token: fastrand::u64(..),
        record: b"[1]".to_vec(),
        replaces: false,
        holds,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use std::num::NonZeroUsize;

    use pumasi_core::event::Envelope;
    use pumasi_saga::conformance::Kept;
    use pumasi_saga::store::{Known, Lease, PostgresStore, WorkerId};
    use pumasi_saga::{Error, ErrorKind};

    struct Postgres(PostgresSchema);

    #[async_trait]
    impl StoreHarness for Postgres {
        async fn open(&self) -> Arc<dyn SagaStore> {
            let store = PostgresStore::new(self.0.pool.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }

        async fn cut(&self) -> bool {
            let tables = "DROP TABLE pumasi_saga, pumasi_saga_worker, pumasi_saga_record, pumasi_saga_signal";
            sqlx::raw_sql(tables).execute(&self.0.pool).await.unwrap();
            true
        }
    }

    pumasi_saga::store_laws!(
        postgres,
        match PostgresSchema::new("sagas in PostgreSQL").await {
            Some(schema) => Postgres(schema),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );

    #[tokio::test]
    async fn what_a_claim_under_way_takes_for_a_worker_that_leaves_is_found_by_others() {
        let Some(schema) = PostgresSchema::new("leaving during a claim").await.map(Postgres) else { return };
        let store = schema.open().await;
        let (leaving, other) = (WorkerId::random(), WorkerId::random());
        let hour = Duration::from_hours(1);
        for worker in [leaving, other] {
            store.renew(worker, hour).await.unwrap();
        }
        for answer in store.commit(vec![begun(1, leaving, false), begun(2, leaving, false)]).await {
            answer.unwrap();
        }
        let take = "UPDATE pumasi_saga SET epoch = epoch + 1, holder = $1, wake = NULL WHERE key = $2";
        let mut claim = schema.0.pool.begin().await.unwrap();
        sqlx::query(take).bind(leaving.as_bytes().as_slice()).bind("1").execute(&mut *claim).await.unwrap();
        store.leave(leaving).await.unwrap();
        claim.commit().await.unwrap();
        // And of one who has no row at all any more.
        let unknown = WorkerId::random();
        sqlx::query(take)
            .bind(unknown.as_bytes().as_slice())
            .bind("2")
            .execute(&schema.0.pool)
            .await
            .unwrap();

        let census = store.census().await.unwrap();
        assert_eq!((census.claimable, census.held), (2, 0));
        assert!(store.next_due().await.unwrap().is_some(), "it is told that there is something to take");
        let known = [Known { saga: "leaving".into(), versions: vec![1] }];
        let claimed = store.claim(other, &known, NonZeroUsize::MIN.saturating_add(9)).await.unwrap();
        assert_eq!(claimed.len(), 2, "{claimed:?}");
    }

    #[tokio::test]
    async fn a_refused_commit_has_let_its_saga_go_when_it_is_answered() {
        let Some(schema) = PostgresSchema::new("a refused commit").await.map(Postgres) else { return };
        let store = schema.open().await;
        let (holder, zombie) = (WorkerId::random(), WorkerId::random());
        store.renew(holder, Duration::from_hours(1)).await.unwrap();
        store.commit(vec![begun(1, holder, true)]).await.pop().unwrap().unwrap();
        let mut other = schema.0.pool.acquire().await.unwrap();
        for _ in 0..100 {
            let mut refused = begun(1, zombie, true);
            (refused.lease, refused.expected, refused.version) = (Lease::Held(0), 1, 2);
            let answer = store.commit(vec![refused.clone()]).await.pop().unwrap();
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
            let lock = "SELECT FROM pumasi_saga FOR UPDATE NOWAIT";
            sqlx::query(lock).execute(&mut *other).await.expect("nobody has the row");
            let answer = store.begin().await.unwrap().commit(refused).await;
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
            sqlx::query(lock).execute(&mut *other).await.expect("nobody has the row");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_stored_hinders_no_others_of_its_batch() {
        let Some(schema) = PostgresSchema::new("a batch with one bad commit").await.map(Postgres) else {
            return;
        };
        let store = schema.open().await;
        let worker = WorkerId::random();
        let (mut nul, mut event) = (begun(1, worker, true), begun(2, worker, true));
        nul.head.reason = Some("a\0b".into());
        event.events = vec![Envelope::new("a", "b", pumasi_core::event::State::Created, 1)];
        event.events[0].payload = "a\0b".into();
        let batch = vec![begun(3, worker, true), nul, event, begun(4, worker, true)];
        let answers = store.commit(batch).await;
        let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Error::kind)).collect();
        assert_eq!((kinds[0], kinds[1], kinds[3]), (None, Some(ErrorKind::InvalidInput), None), "{kinds:?}");
    }
}

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use pumasi_core::conformance::Server;
    use pumasi_core::redis_link::RedisLink;
    use pumasi_saga::conformance::Kept;
    use pumasi_saga::store::{Known, RedisStore, WorkerId};

    struct Redis {
        url: String,
        prefix: String,
    }

    impl Redis {
        fn new() -> Option<Self> {
            let url = Server::Redis.url("sagas on Redis")?;
            Some(Self { url, prefix: format!("test-{:016x}:", fastrand::u64(..)) })
        }

        async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
            // By default it gives up after half a second, in which a busy machine may not answer.
            let limit = Some(Duration::from_secs(30));
            let patient = ::redis::AsyncConnectionConfig::new().set_response_timeout(limit);
            let client = ::redis::Client::open(self.url.as_str()).unwrap();
            client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
        }
    }

    #[async_trait]
    impl StoreHarness for Redis {
        async fn open(&self) -> Arc<dyn SagaStore> {
            let link = RedisLink::open(&self.url).unwrap().with_timeout(Duration::from_secs(20));
            Arc::new(RedisStore::new(link).with_prefix(&self.prefix))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time).await;
        }

        async fn cut(&self) -> bool {
            let mut connection = self.connection().await;
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

    #[tokio::test]
    async fn a_worker_that_leaves_something_behind_stays_known_until_it_is_taken() {
        let Some(redis) = Redis::new() else { return };
        let store = redis.open().await;
        let (leaving, other) = (WorkerId::random(), WorkerId::random());
        for worker in [leaving, other] {
            store.renew(worker, Duration::from_hours(1)).await.unwrap();
        }
        let created = begun(1, leaving, true);
        store.commit(vec![created.clone()]).await.pop().unwrap().unwrap();
        // As a claim that arrives while its worker leaves: a row that leaving does not let go.
        let mut connection = redis.connection().await;
        let key = [redis.prefix.as_bytes(), b"saga:", created.head.id.as_bytes()].concat();
        let row: Vec<u8> =
            ::redis::cmd("HGET").arg(&key).arg("row").query_async(&mut connection).await.unwrap();
        let mut put = ::redis::cmd("HSET");
        put.arg(&key).arg("row");
        put.clone().arg("").exec_async(&mut connection).await.unwrap();
        store.leave(leaving).await.unwrap();
        put.arg(row).exec_async(&mut connection).await.unwrap();

        let known = [Known { saga: "leaving".into(), versions: vec![1] }];
        let claimed = store.claim(other, &known, std::num::NonZeroUsize::MIN).await.unwrap();
        assert_eq!(claimed.len(), 1, "{claimed:?}");
    }
}
