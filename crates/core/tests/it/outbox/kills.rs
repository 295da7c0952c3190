//! Publishers, relays and consumers that are killed again and again: outbox → relay → bus → consumer → inbox.
//!
//! The bus is SQLite's, which outlives its processes; outbox and inbox are on PostgreSQL or on SQLite. `PUMASI_FAULT_KILLS`
//! sets how many processes are killed on each (default 20, some 10 seconds).

use std::path::Path;
use std::time::Instant;

use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{
    Consumer, PostgresInbox, PostgresOutbox, Relay, Shutdown, SqliteBus, SqliteBusOptions, SqliteInbox,
    SqliteOutbox,
};
use pumasi_core::resilience::Backoff;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row, SqlitePool};

use super::*;
use pumasi_core::conformance::PostgresSchema;

const ROLES: [&str; 6] = ["publisher-0", "publisher-1", "relay-0", "relay-1", "consumer-0", "consumer-1"];

/// Where the tables are.
#[derive(Clone)]
enum Place {
    Postgres { schema: String },
    Sqlite,
}

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the kill tests with a part"]
fn plays_its_part_as_a_child() {
    let Some(part) = Part::given() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match std::env::var("PUMASI_FAULT_SCHEMA") {
            Ok(schema) => on_postgres(&part.role, &part.folder, &postgres_pool(&schema)).await,
            Err(_) => on_sqlite(&part.role, &part.folder).await,
        }
    });
}

fn postgres_pool(schema: &str) -> PgPool {
    let server: PgConnectOptions = std::env::var("PUMASI_POSTGRES_URL").unwrap().parse().unwrap();
    PgPoolOptions::new().max_connections(6).connect_lazy_with(server.options([("search_path", schema)]))
}

async fn open_bus(folder: &Path) -> SqliteBus {
    let options = SqliteBusOptions::new(folder.join("events.db")).with_poll(Duration::from_millis(10));
    options.open().await.unwrap()
}

fn subscription() -> Subscription {
    Subscription::new("billing", [TOPIC]).with_lease(Duration::from_millis(600))
}

fn some_events() -> Vec<Envelope> {
    (0..fastrand::usize(1..5)).map(|_| event(&format!("key-{}", fastrand::u8(0..8)), 0)).collect()
}

fn relay(outbox: impl pumasi_core::event::OutboxStore + 'static, bus: SqliteBus) -> Relay {
    Relay::new(outbox, bus)
        .with_lease(Duration::from_millis(600))
        .with_batch(NonZeroUsize::new(20).unwrap())
        .with_backoff(Backoff::new(Duration::from_millis(2), Duration::from_millis(50)))
}

fn consumer(bus: SqliteBus, handler: impl pumasi_core::event::Handler + 'static) -> Consumer {
    Consumer::new(bus, subscription(), handler)
        .with_max_attempts(10_000)
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)))
}

async fn on_postgres(role: &str, folder: &Path, pool: &PgPool) {
    let outbox = PostgresOutbox::new(pool.clone()).with_poll(Duration::from_millis(100));
    let inbox = PostgresInbox::new(pool.clone());
    match role.split_once('-').unwrap().0 {
        "publisher" => loop {
            let mut transaction = pool.begin().await.unwrap();
            let events = some_events();
            outbox.publish_in(&mut transaction, &events).await.unwrap();
            for event in &events {
                let write =
                    "INSERT INTO truth SELECT $1, coalesce(max(n), 0) + 1, $2 FROM truth WHERE key = $1";
                sqlx::query(write)
                    .bind(&event.key)
                    .bind(event.id.to_string())
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
        },
        "relay" => {
            relay(outbox, open_bus(folder).await).run(Shutdown::new()).await.unwrap();
        }
        _ => {
            let handler = inbox.handler("billing", |transaction, delivery| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO effect (key, id) VALUES ($1, $2)")
                        .bind(&delivery.event.key)
                        .bind(delivery.event.id.to_string())
                        .execute(transaction)
                        .await?;
                    Ok(())
                })
            });
            consumer(open_bus(folder).await, handler).run(Shutdown::new()).await.unwrap();
        }
    }
}

async fn on_sqlite(role: &str, folder: &Path) {
    let service = sqlite::pool(&folder.join("service.db")).await;
    let outbox = SqliteOutbox::new(service.clone()).with_poll(Duration::from_millis(10));
    match role.split_once('-').unwrap().0 {
        "publisher" => loop {
            let mut transaction = service.begin_with("BEGIN IMMEDIATE").await.unwrap();
            let events = some_events();
            outbox.publish_in(&mut transaction, &events).await.unwrap();
            for event in &events {
                let write =
                    "INSERT INTO truth SELECT ?1, coalesce(max(n), 0) + 1, ?2 FROM truth WHERE key = ?1";
                sqlx::query(write)
                    .bind(&event.key)
                    .bind(event.id.to_string())
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
        },
        "relay" => {
            relay(outbox, open_bus(folder).await).run(Shutdown::new()).await.unwrap();
        }
        _ => {
            let inbox = SqliteInbox::new(sqlite::pool(&folder.join("effects.db")).await);
            let handler = inbox.handler("billing", |transaction, delivery| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO effect (key, id) VALUES (?1, ?2)")
                        .bind(&delivery.event.key)
                        .bind(delivery.event.id.to_string())
                        .execute(transaction)
                        .await?;
                    Ok(())
                })
            });
            consumer(open_bus(folder).await, handler).run(Shutdown::new()).await.unwrap();
        }
    }
}

/// Kills and restarts processes at random, then lets relays and consumers finish; returns how many were killed.
async fn havoc(
    folder: &Path,
    place: &Place,
    committed: impl AsyncFn() -> i64,
    pending: impl AsyncFn() -> i64,
) -> u32 {
    let kills = kills(20);
    let mut crew = Crew::new("outbox::kills::plays_its_part_as_a_child", folder);
    if let Place::Postgres { schema } = place {
        crew = crew.with_environment("PUMASI_FAULT_SCHEMA", schema);
    }
    for role in ROLES {
        crew.start(role).unwrap();
    }
    tokio::task::block_in_place(|| {
        crew.kill_at_random(kills, Duration::from_millis(30)..Duration::from_millis(500)).unwrap();
    });
    // A busy machine starts them slowly; they go on until enough has happened to tell anything.
    let patience = Instant::now();
    while committed().await <= i64::from(kills) && patience.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for role in ROLES.into_iter().filter(|role| role.starts_with("publisher")) {
        crew.kill(role).unwrap();
    }
    let deadline = Instant::now() + Duration::from_mins(4);
    while pending().await > 0 {
        assert!(Instant::now() < deadline, "what was left was not worked off: {}", crew.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kills
}

/// Key and id, in order.
type Names = Vec<(String, String)>;

/// Says what was found, after checking that every committed event had its effect once, each key in the order of its commits.
fn judge(what: &str, kills: u32, truth: Names, effects: Names, begun: Instant) {
    let by_key = |names: Names| {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, id) in names {
            all.entry(key).or_default().push(id);
        }
        all
    };
    let events = truth.len();
    assert!(events > kills as usize, "too little happened to tell anything: {events}");
    assert_eq!(by_key(effects), by_key(truth), "effects and commits");
    println!(
        "{what}: {kills} publishers, relays and consumers killed, {events} events committed, {events} effects; 0 lost, \
         0 doubled, order kept ({:.1} s)",
        begun.elapsed().as_secs_f64(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_nothing_is_lost_or_doubled_when_every_process_is_killed_again_and_again() {
    let Some(schema) = PostgresSchema::new("killed outbox processes").await else { return };
    let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    sqlx::raw_sql(postgres::TRUTH).execute(&schema.pool).await.unwrap();
    let effect = "CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, key text, id text)";
    sqlx::raw_sql(effect).execute(&schema.pool).await.unwrap();
    PostgresOutbox::new(schema.pool.clone()).migrate().await.unwrap();
    PostgresInbox::new(schema.pool.clone()).migrate().await.unwrap();
    let pending = async || {
        let missing = "SELECT (SELECT count(*) FROM pumasi_outbox_event) + (SELECT count(*) FROM truth) - (SELECT count(*) FROM effect)";
        sqlx::query(missing).fetch_one(&schema.pool).await.unwrap().get(0)
    };
    let place = Place::Postgres { schema: schema.name().to_owned() };
    let committed =
        async || sqlx::query("SELECT count(*) FROM truth").fetch_one(&schema.pool).await.unwrap().get(0);
    let kills = havoc(folder.path(), &place, committed, pending).await;
    let names = async |statement: &'static str| -> Names {
        let rows = sqlx::query(statement).fetch_all(&schema.pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let truth = names("SELECT key, id FROM truth ORDER BY key, n").await;
    judge(
        "postgres outbox and inbox",
        kills,
        truth,
        names("SELECT key, id FROM effect ORDER BY n").await,
        begun,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_nothing_is_lost_or_doubled_when_every_process_is_killed_again_and_again() {
    let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    let service: SqlitePool = sqlite::pool(&folder.path().join("service.db")).await;
    let effects: SqlitePool = sqlite::pool(&folder.path().join("effects.db")).await;
    sqlx::raw_sql(postgres::TRUTH).execute(&service).await.unwrap();
    sqlx::raw_sql("CREATE TABLE effect (n INTEGER PRIMARY KEY, key TEXT, id TEXT)")
        .execute(&effects)
        .await
        .unwrap();
    SqliteOutbox::new(service.clone()).migrate().await.unwrap();
    SqliteInbox::new(effects.clone()).migrate().await.unwrap();
    let count = async |pool: &SqlitePool, statement: &'static str| -> i64 {
        sqlx::query(statement).fetch_one(pool).await.unwrap().get(0)
    };
    let pending = async || {
        count(&service, "SELECT (SELECT count(*) FROM pumasi_outbox_event) + (SELECT count(*) FROM truth)")
            .await
            - count(&effects, "SELECT count(*) FROM effect").await
    };
    let committed = async || count(&service, "SELECT count(*) FROM truth").await;
    let kills = havoc(folder.path(), &Place::Sqlite, committed, pending).await;
    let names = async |pool: &SqlitePool, statement: &'static str| -> Names {
        let rows = sqlx::query(statement).fetch_all(pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let truth = names(&service, "SELECT key, id FROM truth ORDER BY key, n").await;
    let effects = names(&effects, "SELECT key, id FROM effect ORDER BY n").await;
    judge("sqlite outbox and inbox", kills, truth, effects, begun);
}
