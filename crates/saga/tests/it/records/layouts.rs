//! What the stores hold, as text, and stores that hold it.

use std::path::PathBuf;

use tokio::runtime::Runtime;

use super::*;

/// Where the records are to be written, if they are.
fn folder(records: &Records) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("PUMASI_WRITE_RECORDS")?).join(records.folder);
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// Writes the sagas as workers that die in their middle, each an hour after the one before.
fn write_in(
    records: &Records,
    runtime: &Runtime,
    store: impl AsyncFn(u32) -> Arc<dyn SagaStore>,
    end_leases: impl AsyncFn(),
) {
    let shop = Arc::new(Shop::default());
    for (hours, work) in (0..).zip(records.workers) {
        let doomed =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        doomed.block_on(async { work(store(hours).await, Arc::clone(&shop)).await });
        doomed.shutdown_background();
        runtime.block_on(end_leases());
    }
    for (order, steps) in records.standing {
        assert_eq!(shop.standing(*order), *steps, "order {order}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cfg(feature = "embedded")]
mod sqlite {
    use std::path::Path;

    use pumasi_core::time::ManualClock;
    use pumasi_saga::store::{SqliteStore, SqliteStoreOptions};
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

    use super::*;

    async fn connect(file: &Path) -> SqliteConnection {
        SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
    }

    async fn texts(connection: &mut SqliteConnection, statement: String) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Writes the statements that make the file again.
    async fn dump(file: &Path) -> String {
        let mut connection = connect(file).await;
        let schema = "SELECT sql || ';' FROM sqlite_schema \
            WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC, name";
        let mut lines = texts(&mut connection, schema.to_owned()).await;
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'pumasi%' ORDER BY 1";
        for table in texts(&mut connection, tables.to_owned()).await {
            let columns = format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
            let values = texts(&mut connection, columns).await.join(" || ', ' || ");
            let rows = format!("SELECT 'INSERT INTO {table} VALUES (' || {values} || ');' FROM {table}");
            lines.extend(texts(&mut connection, rows).await);
        }
        connection.close().await.unwrap();
        lines.join("\n") + "\n"
    }

    #[test]
    fn orders_in_sqlite() {
        in_sqlite(&orders::RECORDS);
    }

    #[test]
    fn children_in_sqlite() {
        in_sqlite(&children::RECORDS);
    }

    fn in_sqlite(records: &Records) {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("sagas.db");
        let runtime = runtime();
        if let Some(folder) = folder(records) {
            let store = async |hours: u32| {
                let clock = ManualClock::new();
                clock.advance(Duration::from_hours(u64::from(hours)));
                Arc::new(SqliteStoreOptions::new(&file).with_clock(Arc::new(clock)).open().await.unwrap())
                    as Arc<dyn SagaStore>
            };
            write_in(records, &runtime, store, async || {});
            std::fs::write(folder.join("sqlite.sql"), runtime.block_on(dump(&file))).unwrap();
            return;
        }
        runtime.block_on(async {
            let mut connection = connect(&file).await;
            sqlx::raw_sql(records.sqlite).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            (records.drive)(Arc::new(SqliteStore::open(&file).await.unwrap())).await;
        });
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use pumasi_saga::store::PostgresStore;
    use sqlx::{AssertSqlSafe, PgPool, Row};

    use super::*;
    use pumasi_core::conformance::PostgresSchema;

    async fn texts(pool: &PgPool, statement: String) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(pool).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Writes the statements that make the tables again.
    async fn dump(pool: &PgPool) -> String {
        let mut lines = vec![
            include_str!("../../../src/store/postgres/sql/schema.sql").trim().to_owned(),
            include_str!("../../../src/store/postgres/sql/schema_1.sql").trim().to_owned(),
            include_str!("../../../src/store/postgres/sql/schema_2.sql").trim().to_owned(),
        ];
        for table in ["pumasi_saga", "pumasi_saga_record", "pumasi_saga_worker", "pumasi_saga_signal"] {
            let columns = format!(
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
            );
            let columns = texts(pool, columns).await;
            let values: Vec<_> =
                columns.iter().map(|column| format!("quote_nullable({column}::text)")).collect();
            let (names, values) = (columns.join(", "), values.join(" || ', ' || "));
            let first = format!("INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES (");
            lines.extend(
                texts(pool, format!("SELECT '{first}' || {values} || ');' FROM {table} ORDER BY 1")).await,
            );
        }
        for (table, column) in [("pumasi_saga", "no"), ("pumasi_saga_signal", "seq")] {
            lines.push(format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), 1000);"));
        }
        lines.join("\n") + "\n"
    }

    /// Whatever this machine's clock says, the leases of these workers are over.
    async fn end_leases(pool: &PgPool) {
        sqlx::raw_sql("UPDATE pumasi_saga_worker SET until = 0").execute(pool).await.unwrap();
    }

    #[test]
    fn orders_in_postgres() {
        in_postgres(&orders::RECORDS);
    }

    #[test]
    fn children_in_postgres() {
        in_postgres(&children::RECORDS);
    }

    fn in_postgres(records: &Records) {
        let runtime = runtime();
        let Some(schema) = runtime.block_on(PostgresSchema::new("records of earlier versions")) else {
            return;
        };
        if let Some(folder) = folder(records) {
            let store = async |_: u32| {
                let store = PostgresStore::new(
                    sqlx::postgres::PgPoolOptions::new().connect_lazy_with(schema.options.clone()),
                );
                store.migrate().await.unwrap();
                Arc::new(store) as Arc<dyn SagaStore>
            };
            write_in(records, &runtime, store, async || end_leases(&schema.pool).await);
            std::fs::write(folder.join("postgres.sql"), runtime.block_on(dump(&schema.pool))).unwrap();
            return;
        }
        runtime.block_on(async {
            sqlx::raw_sql(records.postgres).execute(&schema.pool).await.unwrap();
            end_leases(&schema.pool).await;
            let store = PostgresStore::new(schema.pool.clone());
            store.migrate().await.unwrap();
            (records.drive)(Arc::new(store)).await;
        });
    }
}

#[cfg(feature = "redis")]
mod redis {
    use ::redis::aio::MultiplexedConnection;
    use ::redis::{Cmd, FromRedisValue, cmd};
    use pumasi_core::conformance::Server;
    use pumasi_saga::store::RedisStore;
    use serde::{Deserialize, Serialize};

    use super::*;

    /// One key, behind the store's prefix, with what it holds; bytes are in hexadecimal.
    #[derive(Serialize, Deserialize)]
    struct Kept {
        key: String,
        kind: String,
        /// The fields and values of a hash, the members and scores of a sorted set, the members of a set, the value of a string.
        holds: Vec<String>,
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, ask: &Cmd) -> T {
        ask.query_async(connection).await.unwrap()
    }

    async fn connect(url: &str) -> MultiplexedConnection {
        let patient =
            ::redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
        let client = ::redis::Client::open(url).unwrap();
        client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
    }

    /// Tells what stands behind a prefix.
    async fn dump(connection: &mut MultiplexedConnection, prefix: &str) -> String {
        let mut keys: Vec<Vec<u8>> = ask(connection, cmd("KEYS").arg(format!("{prefix}*"))).await;
        keys.sort_unstable();
        let mut all = Vec::new();
        for key in keys {
            let kind: String = ask(connection, cmd("TYPE").arg(&key)).await;
            let read = match kind.as_str() {
                "hash" => cmd("HGETALL").arg(&key).to_owned(),
                "zset" => cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").to_owned(),
                "set" => cmd("SMEMBERS").arg(&key).to_owned(),
                "string" => cmd("MGET").arg(&key).to_owned(),
                other => panic!("a {other} is not expected"),
            };
            let holds: Vec<Vec<u8>> = ask(connection, &read).await;
            let holds = holds.iter().map(|bytes| hex(bytes)).collect();
            all.push(Kept { key: hex(&key[prefix.len()..]), kind, holds });
        }
        serde_json::to_string_pretty(&all).unwrap() + "\n"
    }

    async fn load(connection: &mut MultiplexedConnection, records: &Records, prefix: &str) {
        let all: Vec<Kept> = serde_json::from_str(records.redis).unwrap();
        for Kept { key, kind, holds } in all {
            let key = [prefix.as_bytes(), &bytes(&key)].concat();
            let holds: Vec<_> = holds.iter().map(|hex| bytes(hex)).collect();
            let mut write = cmd(match kind.as_str() {
                "hash" => "HSET",
                "zset" => "ZADD",
                "set" => "SADD",
                _ => "SET",
            });
            write.arg(&key);
            for pair in holds.chunks(2) {
                match (kind.as_str(), pair) {
                    ("zset", [member, score]) => write.arg(score).arg(member),
                    (_, pair) => write.arg(pair),
                };
            }
            write.exec_async(connection).await.unwrap();
            cmd("EXPIRE").arg(&key).arg(600).exec_async(connection).await.unwrap();
        }
    }

    /// Whatever this machine's clock says, the leases of these workers are over.
    async fn end_leases(connection: &mut MultiplexedConnection, prefix: &str) {
        let key = format!("{prefix}workers");
        let workers: Vec<Vec<u8>> = ask(connection, cmd("ZRANGE").arg(&key).arg(0).arg(-1)).await;
        for worker in workers {
            cmd("ZADD").arg(&key).arg(0).arg(worker).exec_async(connection).await.unwrap();
        }
    }

    #[test]
    fn orders_in_redis() {
        in_redis(&orders::RECORDS);
    }

    #[test]
    fn children_in_redis() {
        in_redis(&children::RECORDS);
    }

    fn in_redis(records: &Records) {
        let Some(url) = Server::Redis.url("records of earlier versions") else { return };
        let prefix = format!("test-{:016x}:", fastrand::u64(..));
        let runtime = runtime();
        if let Some(folder) = folder(records) {
            let store = async |_: u32| {
                Arc::new(RedisStore::open(&url).unwrap().with_prefix(&prefix)) as Arc<dyn SagaStore>
            };
            let end_leases = async || end_leases(&mut connect(&url).await, &prefix).await;
            write_in(records, &runtime, store, end_leases);
            let written = runtime.block_on(async { dump(&mut connect(&url).await, &prefix).await });
            std::fs::write(folder.join("redis.json"), written).unwrap();
            return;
        }
        runtime.block_on(async {
            let mut connection = connect(&url).await;
            load(&mut connection, records, &prefix).await;
            end_leases(&mut connection, &prefix).await;
            (records.drive)(Arc::new(RedisStore::open(&url).unwrap().with_prefix(&prefix))).await;
        });
    }
}
