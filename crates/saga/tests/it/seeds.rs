//! The same seeds through all stores: the same terminal states, the same ledgers, the same faults on the way; longer by
//! `PUMASI_SAGA_STORE_SEEDS`.

use std::sync::Arc;

use pumasi_core::time::{ManualClock, Timestamp};
use pumasi_saga::saga_test::{self, Blocking, InMemory, Scenario, Stores};
use pumasi_saga::store::SagaStore;
use pumasi_saga::{Error, Result};
use tokio::runtime::Runtime;

use crate::faults::seeds_of;
use crate::sagas::{Order, Registration, Repacked, Then};

/// How many seeds, as `PUMASI_SAGA_SEEDS`: each makes a store of its own.
fn seeds() -> std::ops::Range<u64> {
    seeds_of("PUMASI_SAGA_STORE_SEEDS", 60)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Runs the scenarios on these stores and in memory, and compares.
fn compare(name: &str, stores: &impl Stores) {
    one(name, &Order, stores);
    one(name, &Registration, stores);
    one(name, &Repacked(Then::PackAgain), stores);
}

fn one<S: Scenario>(name: &str, scenario: &S, stores: &impl Stores) {
    let seeds = seeds();
    let there = saga_test::seeds_on(scenario, &InMemory, seeds.clone());
    let here = saga_test::seeds_on(scenario, stores, seeds);
    println!("{name}: {} seeds, {} faults, digest {:016x}", here.runs, here.faults(), here.digest);
    assert_eq!(here.violations, []);
    assert_eq!(here.struck, there.struck, "{name}: the faults on the way");
    assert_eq!((here.digest, here.endings), (there.digest, there.endings), "{name}: how they ended");
}

async fn still(_: Timestamp) {}

#[cfg(feature = "embedded")]
#[test]
fn the_same_seeds_end_alike_in_sqlite() {
    use pumasi_saga::store::SqliteStoreOptions;

    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let number = std::cell::Cell::new(0);
    let stores = |clock: &ManualClock| -> Result<Arc<dyn SagaStore>> {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("sagas-{}.db", number.get()));
        let options = SqliteStoreOptions::new(path).with_clock(Arc::new(clock.clone()));
        let store = runtime.block_on(options.open())?;
        Ok(Arc::new(Blocking::new(store, runtime.handle().clone(), clock, still)))
    };
    compare("SQLite", &stores);
}

#[cfg(feature = "postgres")]
#[test]
fn the_same_seeds_end_alike_in_postgres() {
    use pumasi_core::conformance::Server;
    use pumasi_saga::store::PostgresStore;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use sqlx::{AssertSqlSafe, ConnectOptions};

    // In front of the catalogue's, so that the store's statements take the test's time for the server's.
    const CLOCK: &str = "CREATE TABLE clock (micros bigint NOT NULL); INSERT INTO clock VALUES (0); \
        CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
        'SELECT timestamptz ''1970-01-01 00:00:00+00'' + micros * interval ''1 microsecond'' FROM clock'";
    const EMPTY: &str = "TRUNCATE pumasi_saga, pumasi_saga_worker, pumasi_saga_record, pumasi_saga_signal, \
        pumasi_outbox_event, ticket; \
        UPDATE pumasi_outbox_shard SET holder = 0, free_at = '-infinity'";

    let Some(url) = Server::Postgres.url("the same seeds") else { return };
    let runtime = runtime();
    let server: PgConnectOptions = url.parse().unwrap();
    let server = server.disable_statement_logging();
    let schema = format!("pumasi_seeds_{}_{:08x}", std::process::id(), fastrand::u32(..));
    let path = format!("{schema}, pg_catalog");
    let (store, pool) = runtime.block_on(async {
        let options = server.options([("search_path", path.as_str()), ("synchronous_commit", "off")]);
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&pool).await.unwrap();
        let store = PostgresStore::new(pool.clone());
        store.migrate().await.unwrap();
        sqlx::raw_sql(CLOCK).execute(&pool).await.unwrap();
        sqlx::raw_sql(rows::TABLE).execute(&pool).await.unwrap();
        (store, pool)
    });
    let stores = |clock: &ManualClock| -> Result<Arc<dyn SagaStore>> {
        let emptied = runtime.block_on(sqlx::raw_sql(EMPTY).execute(&pool));
        emptied.map_err(|error| Error::new(pumasi_saga::ErrorKind::Storage, error.to_string()))?;
        let pool = pool.clone();
        let turn = move |now: Timestamp| {
            let pool = pool.clone();
            async move {
                let turned = sqlx::query("UPDATE clock SET micros = $1").bind(now.as_micros());
                turned.execute(&pool).await.unwrap();
            }
        };
        Ok(Arc::new(Blocking::new(store.clone(), runtime.handle().clone(), clock, turn)))
    };
    compare("PostgreSQL", &stores);
    let rows = rows::Ticket { pool: pool.clone(), runtime: runtime.handle().clone() };
    let report = saga_test::seeds_on(&rows, &stores, seeds());
    println!("PostgreSQL, steps in transactions: {report}");
    assert_eq!(report.violations, []);
    let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    runtime.block_on(sqlx::raw_sql(drop).execute(&pool)).unwrap();
}

#[cfg(feature = "redis")]
#[test]
fn the_same_seeds_end_alike_in_redis() {
    use std::time::Duration;

    use pumasi_core::conformance::Server;
    use pumasi_core::redis_link::RedisLink;
    use pumasi_saga::store::RedisStore;

    let Some(url) = Server::Redis.url("the same seeds") else { return };
    let runtime = runtime();
    let client = redis::Client::open(url.as_str()).unwrap();
    // By default it gives up after half a second, in which a busy machine may not answer.
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    let connection = client.get_multiplexed_async_connection_with_config(&patient);
    let connection = runtime.block_on(connection).unwrap();
    let stores = |clock: &ManualClock| -> Result<Arc<dyn SagaStore>> {
        let prefix = format!("pumasi-seeds-{:016x}:", fastrand::u64(..));
        let _inside = runtime.enter();
        let link = RedisLink::open(&url)?.with_timeout(Duration::from_secs(20));
        let store = RedisStore::new(link).with_prefix(&prefix).with_clock_key();
        let connection = connection.clone();
        let turn = move |now: Timestamp| {
            let (mut connection, key) = (connection.clone(), format!("{prefix}clock"));
            async move {
                let mut set = redis::cmd("SET");
                set.arg(key).arg(now.as_micros()).arg("EX").arg(600);
                set.exec_async(&mut connection).await.unwrap();
            }
        };
        Ok(Arc::new(Blocking::new(store, runtime.handle().clone(), clock, turn)))
    };
    compare("Redis", &stores);
}

/// Steps whose effects are rows in PostgreSQL, written in the transactions that record them.
#[cfg(feature = "postgres")]
mod rows {
    use pumasi_saga::saga_test::{Bank, Ending, Scenario};
    use pumasi_saga::store::Status;
    use pumasi_saga::{
        Compensate, CompensateTransaction, Cx, Definition, Outcome, Result, Saga, Step, TransactionStep, Undo,
    };
    use sqlx::{PgPool, Postgres, Transaction};
    use tokio::runtime::Handle;

    pub(super) const TABLE: &str = "CREATE TABLE ticket (step text NOT NULL, undo boolean NOT NULL)";

    type Tx = Transaction<'static, Postgres>;

    #[derive(Clone)]
    pub(super) struct Ticket {
        pub(super) pool: PgPool,
        pub(super) runtime: Handle,
    }

    /// Writes a row, and stops the thread until that is done.
    fn write(cx: &Cx<Ticket>, transaction: &mut Tx, undo: bool) -> Outcome<(), &'static str> {
        let row = sqlx::query("INSERT INTO ticket VALUES ($1, $2)").bind(cx.step()).bind(undo);
        match cx.app().runtime.block_on(row.execute(&mut **transaction)) {
            Ok(_) => Outcome::Done(()),
            Err(_) => Outcome::Unknown("not written"),
        }
    }

    struct Book;
    struct Unbook;
    struct Pay;
    struct PayBack;
    struct Issue;

    impl TransactionStep<Ticket, Tx> for Book {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, cx: &Cx<Ticket>, transaction: &mut Tx, (): ()) -> Outcome<(), &'static str> {
            write(cx, transaction, false)
        }
    }

    impl CompensateTransaction<Ticket, Tx, Book> for Unbook {
        type Error = &'static str;

        async fn undo(
            &self,
            cx: &Cx<Ticket>,
            transaction: &mut Tx,
            (): (),
            (): (),
        ) -> Outcome<(), &'static str> {
            write(cx, transaction, true)
        }
    }

    impl Step<Ticket> for Pay {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, _: &Cx<Ticket>, (): ()) -> Outcome<(), &'static str> {
            Outcome::Done(())
        }
    }

    impl Compensate<Ticket, Pay> for PayBack {
        type Error = &'static str;

        async fn undo(&self, _: &Cx<Ticket>, _: Undo<Ticket, Pay>) -> Outcome<(), &'static str> {
            Outcome::Done(())
        }
    }

    impl TransactionStep<Ticket, Tx> for Issue {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, cx: &Cx<Ticket>, transaction: &mut Tx, (): ()) -> Outcome<(), &'static str> {
            write(cx, transaction, false)
        }
    }

    impl Scenario for Ticket {
        type Key = u64;
        type App = Self;

        fn app(&self, _: &Bank) -> Self {
            self.clone()
        }

        fn definition(&self) -> Result<Definition<u64, Self>> {
            Saga::<u64, Self>::new("ticket", 1)
                .step_tx::<_, Tx, _>(Book)
                .compensate_tx(Unbook)
                .step(Pay)
                .compensate(PayBack)
                .pivot_tx::<_, Tx, _>(Issue)
                .build()
        }

        fn key(&self) -> u64 {
            7
        }

        fn check(&self, _: &Self, ending: &Ending) -> std::result::Result<(), String> {
            let counted = "SELECT count(*) FILTER (WHERE step = 'book' AND NOT undo), \
                count(*) FILTER (WHERE undo), count(*) FILTER (WHERE step = 'issue') FROM ticket";
            let counted = sqlx::query_as(counted).fetch_one(&self.pool);
            let rows: (i64, i64, i64) = self.runtime.block_on(counted).map_err(|error| error.to_string())?;
            match (ending.status, rows) {
                (Status::Completed, (1, 0, 1)) | (Status::Compensated, (0, 0, 0) | (1, 1, 0)) => Ok(()),
                (Status::NeedsOperator, _) => Ok(()),
                (status, rows) => Err(format!("{status}, with bookings, cancellations and tickets {rows:?}")),
            }
        }
    }
}
