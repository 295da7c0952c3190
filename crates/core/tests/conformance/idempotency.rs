//! The laws of idempotency keys, and effects that happen exactly once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::idempotency::IdempotencyHarness;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use pumasi_core::conformance::once::OnceHarness;
use pumasi_core::idempotency::{IdempotencyStore, MemoryIdempotency};
use pumasi_core::time::ManualClock;

struct Memory {
    clock: ManualClock,
    store: MemoryIdempotency,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { store: MemoryIdempotency::new().with_clock(Arc::new(clock.clone())), clock }
    }
}

#[async_trait]
impl IdempotencyHarness for Memory {
    async fn open(&self) -> Arc<dyn IdempotencyStore> {
        Arc::new(self.store.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pumasi_core::idempotency_laws!(memory, Memory::new());

#[cfg(feature = "redis")]
mod on_redis {
    use super::*;
    use crate::proxy::{Line, Proxy, authority};
    use crate::redis_server::PATIENCE;
    use pumasi_core::conformance::Server;
    use pumasi_core::idempotency::RedisIdempotency;

    struct Redis {
        proxy: Proxy,
        prefix: String,
    }

    impl Redis {
        async fn new() -> Option<Self> {
            let url = Server::Redis.url("idempotency keys on Redis")?;
            let prefix = format!("test-{:016x}:", fastrand::u64(..));
            Some(Self { proxy: Proxy::to(authority(&url)).await, prefix })
        }
    }

    #[async_trait]
    impl IdempotencyHarness for Redis {
        async fn open(&self) -> Arc<dyn IdempotencyStore> {
            let url = format!("redis://{}", self.proxy.address());
            Arc::new(RedisIdempotency::open(&url).unwrap().with_prefix(&self.prefix).with_timeout(PATIENCE))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time + Duration::from_millis(2)).await;
        }

        async fn cut(&self) -> bool {
            self.proxy.set(Line::Cut);
            true
        }
    }

    pumasi_core::idempotency_laws!(
        redis,
        match Redis::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::*;
    use pumasi_core::ErrorKind;
    use pumasi_core::database::open_sqlite;
    use pumasi_core::idempotency::{
        Fingerprint, Idempotency, IdempotencyKey, IdempotentRequest, Reply, Response, SqliteIdempotency,
    };
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
    use sqlx::{Row, SqliteConnection, SqlitePool};

    struct Sqlite {
        clock: ManualClock,
        folder: tempfile::TempDir,
    }

    impl Sqlite {
        async fn new() -> Self {
            let this = Self { clock: ManualClock::new(), folder: tempfile::tempdir().unwrap() };
            this.store().await.migrate().await.unwrap();
            this
        }

        async fn pool(&self) -> SqlitePool {
            let options = SqliteConnectOptions::new()
                .filename(self.folder.path().join("keys.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(20));
            open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap()
        }

        async fn store(&self) -> SqliteIdempotency {
            SqliteIdempotency::new(self.pool().await).with_clock(Arc::new(self.clock.clone()))
        }
    }

    #[async_trait]
    impl IdempotencyHarness for Sqlite {
        async fn open(&self) -> Arc<dyn IdempotencyStore> {
            Arc::new(self.store().await)
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_core::idempotency_laws!(sqlite, Sqlite::new().await);

    #[async_trait]
    impl OnceHarness for Sqlite {
        type Store = SqliteIdempotency;

        async fn open(&self) -> SqliteIdempotency {
            let pool = self.pool().await;
            sqlx::raw_sql("CREATE TABLE IF NOT EXISTS made (text TEXT)").execute(&pool).await.unwrap();
            SqliteIdempotency::new(pool)
        }

        async fn write(connection: &mut SqliteConnection, text: &str) -> pumasi_core::Result<()> {
            sqlx::query("INSERT INTO made VALUES (?1)").bind(text).execute(connection).await?;
            Ok(())
        }

        async fn written(&self, text: &str) -> pumasi_core::Result<u64> {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM made WHERE text = ?1").bind(text);
            Ok(u64::try_from(count.fetch_one(&self.pool().await).await?).unwrap_or(0))
        }
    }

    pumasi_core::once_laws!(sqlite_once, Sqlite::new().await);

    #[tokio::test]
    async fn the_effect_and_its_answer_are_there_together_or_neither_is() {
        let sqlite = Sqlite::new().await;
        let (pool, store) = (sqlite.pool().await, sqlite.store().await);
        sqlx::query("CREATE TABLE effect (n INTEGER)").execute(&pool).await.unwrap();
        let clock = Arc::new(sqlite.clock.clone());
        let idempotency =
            Idempotency::new(store.clone()).with_lease(Duration::from_secs(1)).with_clock(clock);
        let request =
            IdempotentRequest::new("user-7", &IdempotencyKey::new("k").unwrap(), Fingerprint::of(&[b"body"]));
        let work = |dies: bool| {
            let (pool, store) = (pool.clone(), store.clone());
            idempotency.run(&request, move |execution| async move {
                let failed = |_| pumasi_core::Error::new(ErrorKind::Storage, "the effect failed");
                let mut transaction = pool.begin().await.map_err(failed)?;
                sqlx::query("INSERT INTO effect VALUES (1)")
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed)?;
                let response = Response::new(201, "done");
                store.complete_in(&mut transaction, &execution, &response).await?;
                if dies {
                    return Err(pumasi_core::Error::new(ErrorKind::Other, "dies before the commit"));
                }
                transaction.commit().await.map_err(failed)?;
                Ok(Reply::Stored(response))
            })
        };
        assert_eq!(work(true).await.unwrap_err().kind(), ErrorKind::Other);
        assert!(!work(false).await.unwrap().replayed);
        let again = work(false).await.unwrap();
        assert_eq!((again.replayed, again.response.body()), (true, &b"done"[..]));
        let count: i64 = sqlx::query("SELECT count(*) FROM effect").fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(count, 1);
        assert_eq!(store.clean_up(10).await.unwrap(), 0);
        sqlite.clock.advance(Duration::from_hours(25));
        assert_eq!(store.clean_up(10).await.unwrap(), 1);
    }
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::postgres::Database;
    use crate::proxy::Line;
    use pumasi_core::ErrorKind;
    use pumasi_core::idempotency::{
        Fingerprint, Idempotency, IdempotencyKey, IdempotentRequest, Outcome, PostgresIdempotency, Response,
    };
    use sqlx::{PgConnection, Row};

    struct Postgres(Database);

    impl Postgres {
        async fn new() -> Option<Self> {
            let database = Database::open("idempotency keys on PostgreSQL").await?;
            PostgresIdempotency::new(database.pool()).migrate().await.unwrap();
            Some(Self(database))
        }
    }

    #[async_trait]
    impl IdempotencyHarness for Postgres {
        async fn open(&self) -> Arc<dyn IdempotencyStore> {
            Arc::new(PostgresIdempotency::new(self.0.pool()))
        }

        async fn pass(&self, time: Duration) {
            tokio::time::sleep(time + Duration::from_millis(2)).await;
        }

        async fn cut(&self) -> bool {
            self.0.proxy().set(Line::Cut);
            true
        }
    }

    pumasi_core::idempotency_laws!(
        postgres,
        match Postgres::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );

    #[async_trait]
    impl OnceHarness for Postgres {
        type Store = PostgresIdempotency;

        async fn open(&self) -> PostgresIdempotency {
            let pool = self.0.pool();
            sqlx::raw_sql(
                "BEGIN; SELECT pg_advisory_xact_lock(4711); CREATE TABLE IF NOT EXISTS made (text TEXT); COMMIT",
            )
            .execute(&pool)
            .await
            .unwrap();
            PostgresIdempotency::new(pool)
        }

        async fn write(connection: &mut PgConnection, text: &str) -> pumasi_core::Result<()> {
            sqlx::query("INSERT INTO made VALUES ($1)").bind(text).execute(connection).await?;
            Ok(())
        }

        async fn written(&self, text: &str) -> pumasi_core::Result<u64> {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM made WHERE text = $1").bind(text);
            Ok(u64::try_from(count.fetch_one(&self.0.pool()).await?).unwrap_or(0))
        }

        async fn cut(&self) -> bool {
            self.0.proxy().set(Line::Cut);
            true
        }
    }

    pumasi_core::once_laws!(
        postgres_once,
        match Postgres::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );

    /// An execution stands still past its lease in the middle of its transaction; another takes over and commits.
    #[tokio::test]
    async fn an_effect_of_a_lost_execution_is_rolled_back() {
        let Some(postgres) = Postgres::new().await else { return };
        let (pool, name) = (postgres.0.pool(), format!("k-{:016x}", fastrand::u64(..)));
        sqlx::raw_sql(
            "BEGIN; SELECT pg_advisory_xact_lock(4711); CREATE TABLE IF NOT EXISTS effect (name TEXT); COMMIT",
        )
        .execute(&pool)
        .await
        .unwrap();
        let store = PostgresIdempotency::new(pool.clone());
        let idempotency = Idempotency::new(store.clone()).with_lease(Duration::from_millis(1_500));
        let request = IdempotentRequest::new(
            "user-7",
            &IdempotencyKey::new(&name).unwrap(),
            Fingerprint::of(&[b"body"]),
        );
        let begin = async |idempotency: &Idempotency| match idempotency.begin(&request).await.unwrap() {
            Outcome::Execute(execution) => execution,
            outcome => panic!("it is not to be executed: {outcome:?}"),
        };
        let effect = "INSERT INTO effect VALUES ($1)";
        let stale = begin(&idempotency).await;
        let mut first = pool.begin().await.unwrap();
        sqlx::query(effect).bind(&name).execute(&mut *first).await.unwrap();
        // the runtime does nothing for longer than the lease, as in a process that was stopped
        std::thread::sleep(Duration::from_millis(1_600));
        // whoever takes over has time
        let next = begin(&Idempotency::new(store.clone()).with_lease(Duration::from_mins(5))).await;
        assert!(next.token() > stale.token());
        let mut second = pool.begin().await.unwrap();
        sqlx::query(effect).bind(&name).execute(&mut *second).await.unwrap();
        store.complete_in(&mut second, &next, &Response::new(201, "second")).await.unwrap();
        // while the answer is being stored nobody waits for that transaction
        assert_eq!(idempotency.begin(&request).await.unwrap_err().kind(), ErrorKind::Conflict);
        second.commit().await.unwrap();
        next.stored();
        let error = store.complete_in(&mut first, &stale, &Response::new(201, "first")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        first.rollback().await.unwrap();
        let Outcome::Replay(response) = idempotency.begin(&request).await.unwrap() else {
            panic!("it is done")
        };
        assert_eq!(response.body(), b"second");
        let effects = sqlx::query("SELECT count(*) FROM effect WHERE name = $1").bind(&name);
        let count: i64 = effects.fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(count, 1);
    }
}
