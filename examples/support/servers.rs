//! What a service keeps its state in: files of its own, or the servers that the environment names.
//!
//! | variable | instead of files and memory | feature |
//! |---|---|---|
//! | `PUMASI_POSTGRES_URL` | what is stored: `postgres://user:password@host/database` | `postgres` |
//! | `PUMASI_KAFKA_URL` | events: `host:port`, several by comma | `kafka` |
//! | `PUMASI_REDIS_URL` | events, where there is no Kafka, what is cached, and leaderboards: `redis://host:port` | `redis` |
//! | `PUMASI_QDRANT_URL` | knowledge: `http://host:port` of its gRPC interface, with a key in `PUMASI_QDRANT_KEY` | `qdrant` |
//! | `PUMASI_OPENSEARCH_URL` | the first of a search's engines: `http://host:port`, several nodes by comma | `opensearch` |
//! | `PUMASI_PREFIX` | what keys, topics, groups, schemas, collections and indexes begin with, where several installations share servers | |

use std::env;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::cache::{Cache, MokaCache};
use pumasi_core::event::{EventBus, SqliteBus};
use pumasi_core::{Error, ErrorKind, Result};
#[cfg(feature = "rag")]
use pumasi_rag::{Space, Store, Tenant};
#[cfg(feature = "search")]
use pumasi_search::leaderboard::{BoardStore, MemberId, SqliteBoards};
#[cfg(feature = "search")]
use pumasi_search::{Schema, SearchEngine};

/// The variable with the URL of PostgreSQL.
pub const POSTGRES: &str = "PUMASI_POSTGRES_URL";
/// The variable with the URL of Redis.
pub const REDIS: &str = "PUMASI_REDIS_URL";
/// The variable with the addresses of Kafka.
pub const KAFKA: &str = "PUMASI_KAFKA_URL";
/// The variable with the URL of Qdrant.
pub const QDRANT: &str = "PUMASI_QDRANT_URL";
/// The variable with the addresses of OpenSearch or Elasticsearch.
pub const OPENSEARCH: &str = "PUMASI_OPENSEARCH_URL";
/// The variable with what tells one installation from others on the same servers.
pub const PREFIX: &str = "PUMASI_PREFIX";

/// A pool of connections to PostgreSQL.
#[cfg(feature = "postgres")]
pub type Pool = sqlx::PgPool;
/// Nothing: this program was built without PostgreSQL.
#[cfg(not(feature = "postgres"))]
pub type Pool = std::convert::Infallible;

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(any(
    feature = "kafka",
    feature = "redis",
    feature = "postgres",
    feature = "qdrant",
    feature = "opensearch"
))]
fn prefixed(start: &str, end: char) -> String {
    set(PREFIX).map_or_else(|| start.to_owned(), |prefix| format!("{prefix}{end}{start}"))
}

/// Makes the folder of a service that keeps files of its own, if it does not exist.
///
/// # Errors
///
/// If it cannot be made.
pub fn folder(path: &Path) -> std::result::Result<(), String> {
    std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A server that is asked for is used, or the service does not start.
#[cfg(not(all(
    feature = "kafka",
    feature = "redis",
    feature = "postgres",
    any(feature = "qdrant", not(feature = "rag")),
    any(feature = "opensearch", not(feature = "search"))
)))]
fn not_built<T>(variable: &str, feature: &str) -> Result<T> {
    let said =
        format!("{variable} is set, and this program was built without it: cargo run --features {feature} …");
    Err(Error::new(ErrorKind::Unsupported, said))
}

/// Whether events are on a server.
pub fn has_bus() -> bool {
    set(KAFKA).or_else(|| set(REDIS)).is_some()
}

/// Opens the bus: on Kafka, else on Redis, else in this file.
///
/// # Errors
///
/// `Unsupported` if the program was built without what the environment asks for; otherwise the bus's.
pub async fn bus(file: &Path) -> Result<Arc<dyn EventBus>> {
    if let Some(brokers) = set(KAFKA) {
        return kafka(brokers).await;
    }
    match set(REDIS) {
        Some(url) => redis(url).await,
        None => Ok(Arc::new(SqliteBus::open(file).await?)),
    }
}

#[cfg(feature = "kafka")]
async fn kafka(brokers: String) -> Result<Arc<dyn EventBus>> {
    use std::num::{NonZeroU16, NonZeroU32};
    use std::time::Duration;
    // Twelve partitions share out to 2, 3, 4 or 6 processes alike. Brokers that keep replicas have topics made by their operator.
    let partitions = NonZeroU32::MIN.saturating_add(11);
    let bus = pumasi_core::event::KafkaBusOptions::new(brokers)
        .with_prefix(prefixed("", '.'))
        .with_create_topics(partitions, NonZeroU16::MIN)
        // What a process that died was to work on goes to the next one after this; brokers allow six seconds and more.
        .with_session_timeout(Duration::from_secs(10))
        .open()
        .await?;
    Ok(Arc::new(bus))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: String) -> std::future::Ready<Result<Arc<dyn EventBus>>> {
    std::future::ready(not_built(KAFKA, "kafka"))
}

#[cfg(feature = "redis")]
async fn redis(url: String) -> Result<Arc<dyn EventBus>> {
    let options = pumasi_core::event::RedisBusOptions::new(url).with_prefix(prefixed("pumasi", '.'));
    Ok(Arc::new(options.open().await?))
}

#[cfg(not(feature = "redis"))]
fn redis(_: String) -> std::future::Ready<Result<Arc<dyn EventBus>>> {
    std::future::ready(not_built(REDIS, "redis"))
}

/// Opens the cache: on Redis, else in memory with room for so many bytes.
///
/// # Errors
///
/// `Unsupported` as with [`bus`]; `InvalidInput` if the URL is none.
pub fn cache(bytes: u64) -> Result<Arc<dyn Cache>> {
    match set(REDIS) {
        Some(url) => redis_cache(&url),
        None => Ok(Arc::new(MokaCache::new(bytes))),
    }
}

#[cfg(feature = "redis")]
fn redis_cache(url: &str) -> Result<Arc<dyn Cache>> {
    let cache = pumasi_core::cache::RedisCache::open(url)?;
    Ok(Arc::new(cache.with_prefix(&prefixed("pumasi:cache:", ':'))))
}

#[cfg(not(feature = "redis"))]
fn redis_cache(_: &str) -> Result<Arc<dyn Cache>> {
    not_built(REDIS, "redis")
}

/// Opens leaderboards: on Redis, else in PostgreSQL, else in this file.
///
/// # Errors
///
/// `Unsupported` as with [`bus`]; otherwise the store's.
#[cfg(feature = "search")]
pub async fn boards<M: MemberId>(file: &Path, database: Option<Pool>) -> Result<Arc<dyn BoardStore<M>>> {
    if let Some(url) = set(REDIS) {
        return redis_boards(&url);
    }
    match database {
        #[cfg(feature = "postgres")]
        Some(pool) => {
            let boards = pumasi_search::leaderboard::PostgresBoards::new(pool);
            boards.migrate().await?;
            Ok(Arc::new(boards))
        }
        _ => Ok(Arc::new(SqliteBoards::open(file).await?)),
    }
}

#[cfg(all(feature = "search", feature = "redis"))]
fn redis_boards<M: MemberId>(url: &str) -> Result<Arc<dyn BoardStore<M>>> {
    let boards = pumasi_search::leaderboard::RedisBoards::open(url)?;
    Ok(Arc::new(boards.with_prefix(&prefixed("pumasi:boards:", ':'))))
}

#[cfg(all(feature = "search", not(feature = "redis")))]
fn redis_boards<M: MemberId>(_: &str) -> Result<Arc<dyn BoardStore<M>>> {
    not_built(REDIS, "redis")
}

/// Connects to PostgreSQL, if the environment asks for it, and keeps everything in a schema of the service's own: several
/// services may share a database, and call their tables alike.
///
/// # Errors
///
/// `Unsupported` as with [`bus`]; `InvalidInput` if the URL is none, and what the server says.
pub async fn postgres(service: &str) -> Result<Option<Pool>> {
    match set(POSTGRES) {
        Some(url) => connect(&url, service).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(feature = "postgres")]
async fn connect(url: &str, service: &str) -> Result<Pool> {
    use std::time::Duration;

    use pumasi_core::database::failed;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
    // The source would quote the URL, with its password.
    let bad = |_| Error::new(ErrorKind::InvalidInput, format!("{POSTGRES} is no URL of PostgreSQL"));
    let options: PgConnectOptions = url.parse().map_err(bad)?;
    let options = sqlx::ConnectOptions::disable_statement_logging(options);
    let connecting = |error| failed("connecting to PostgreSQL", error);
    let schema = plain(&prefixed(service, '_'));
    let mut connection = PgConnection::connect_with(&options).await.map_err(connecting)?;
    // Two processes that make one schema at once fail even with IF NOT EXISTS.
    let make = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('example')); CREATE SCHEMA IF NOT EXISTS {schema}; COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut connection).await.map_err(connecting)?;
    connection.close().await.map_err(connecting)?;
    // Types of extensions are in `public`.
    let path = format!("{schema},public");
    PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options.options([("search_path", path)]))
        .await
        .map_err(connecting)
}

/// Writes a name as PostgreSQL takes it without quotes and OpenSearch within the name of an index: in lower case, at most 63 bytes long.
#[cfg(any(feature = "postgres", feature = "opensearch"))]
fn plain(name: &str) -> String {
    let letters = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    let name: String = if name.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" }
        .chars()
        .chain(letters)
        .collect();
    // What tells services apart stands at the end.
    name.chars().rev().take(63).collect::<Vec<_>>().into_iter().rev().collect()
}

#[cfg(not(feature = "postgres"))]
fn connect(_: &str, _: &str) -> std::future::Ready<Result<Pool>> {
    std::future::ready(not_built(POSTGRES, "postgres"))
}

/// A search engine on OpenSearch or Elasticsearch, in an index of this name, if the environment names nodes; none of them is asked yet.
///
/// # Errors
///
/// `Unsupported` as with [`bus`]; `InvalidInput` if an address is no URL.
#[cfg(feature = "search")]
pub fn opensearch(index: &str, schema: Schema) -> Result<Option<Arc<dyn SearchEngine>>> {
    set(OPENSEARCH).map(|nodes| cluster(&nodes, index, schema)).transpose()
}

#[cfg(feature = "opensearch")]
fn cluster(nodes: &str, index: &str, schema: Schema) -> Result<Arc<dyn SearchEngine>> {
    let nodes: Vec<String> = nodes.split(',').map(|node| node.trim().to_owned()).collect();
    let engine = pumasi_search::OpenSearchEngine::new(schema, &nodes).map_err(|error| {
        Error::new(error.kind(), format!("{OPENSEARCH} is no list of nodes' URLs")).with_source(error)
    })?;
    Ok(Arc::new(engine.with_prefix(format!("pumasi_{}", plain(&prefixed(index, '_'))))))
}

#[cfg(all(feature = "search", not(feature = "opensearch")))]
fn cluster(_: &str, _: &str, _: Schema) -> Result<Arc<dyn SearchEngine>> {
    not_built(OPENSEARCH, "opensearch")
}

/// Opens the knowledge of a service in Qdrant, in a collection named as the service, if the environment names one.
///
/// # Errors
///
/// `Unsupported` as with [`bus`]; otherwise the store's.
#[cfg(feature = "rag")]
pub async fn qdrant(service: &str, space: &Space, tenant: &Tenant) -> Result<Option<Arc<dyn Store>>> {
    match set(QDRANT) {
        Some(url) => collection(&url, service, space, tenant).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(feature = "qdrant")]
async fn collection(url: &str, service: &str, space: &Space, tenant: &Tenant) -> Result<Arc<dyn Store>> {
    use pumasi_rag::QdrantStore;
    use pumasi_rag::store::QdrantOptions;

    let mut options = QdrantOptions::new().with_collection(prefixed(service, '_'));
    if let Some(key) = set("PUMASI_QDRANT_KEY") {
        options = options.with_api_key(key);
    }
    Ok(Arc::new(QdrantStore::open_with(url, space.clone(), tenant.clone(), options).await?))
}

#[cfg(all(feature = "rag", not(feature = "qdrant")))]
fn collection(_: &str, _: &str, _: &Space, _: &Tenant) -> std::future::Ready<Result<Arc<dyn Store>>> {
    std::future::ready(not_built(QDRANT, "qdrant"))
}

#[cfg(all(test, any(feature = "postgres", feature = "opensearch")))]
mod tests {
    use super::*;

    #[test]
    fn names_of_schemas_and_indexes_need_no_quotes() {
        for (name, wanted) in [
            ("every_task", "every_task"),
            ("Club-A_every_task", "club_a_every_task"),
            ("2026_slack_bot", "_2026_slack_bot"),
            ("동네_slack_bot", "___slack_bot"),
            ("\"; DROP TABLE x; --_slack_bot", "___drop_table_x_____slack_bot"),
        ] {
            assert_eq!(plain(name), wanted);
        }
        assert!(plain(&format!("{}_slack_bot", "x".repeat(100))).ends_with("x_slack_bot"));
        assert_eq!(plain(&"x".repeat(100)).len(), 63);
    }
}
