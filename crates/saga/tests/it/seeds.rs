//! The same seeds through all stores: the same terminal states, the same ledgers, the same faults on the way.

use std::sync::Arc;

use pumasi_core::time::{ManualClock, Timestamp};
use pumasi_saga::saga_test::{self, Blocking, InMemory, Report, Scenario, Stores};
use pumasi_saga::store::SagaStore;
use pumasi_saga::{Error, Result};
use tokio::runtime::Runtime;

use crate::faults::seeds;
use crate::sagas::{Order, Registration};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Runs both scenarios on these stores and in memory, and compares.
fn compare(name: &str, stores: &impl Stores) {
    one(name, &Order, stores);
    one(name, &Registration, stores);
}

fn one<S: Scenario>(name: &str, scenario: &S, stores: &impl Stores) {
    let seeds = seeds(60);
    let here: Report = saga_test::seeds_on(scenario, stores, seeds.clone());
    let there = saga_test::seeds_on(scenario, &InMemory, seeds);
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
        pumasi_outbox_event; \
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
    let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    runtime.block_on(sqlx::raw_sql(drop).execute(&pool)).unwrap();
}

#[cfg(feature = "redis")]
#[test]
fn the_same_seeds_end_alike_in_redis() {
    use pumasi_core::conformance::Server;
    use pumasi_saga::store::RedisStore;

    let Some(url) = Server::Redis.url("the same seeds") else { return };
    let runtime = runtime();
    let client = redis::Client::open(url.as_str()).unwrap();
    let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let stores = |clock: &ManualClock| -> Result<Arc<dyn SagaStore>> {
        let prefix = format!("pumasi-seeds-{:016x}:", fastrand::u64(..));
        let _inside = runtime.enter();
        let store = RedisStore::open(&url)?.with_prefix(&prefix).with_clock_key();
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
