//! A server of the test's own, stopped and started again under a relay and a consumer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::Server;
use pumasi_core::conformance::process::is_full;
use pumasi_core::event::{
    Consumer, EntityPage, OutboxStore, Page, PostgresInbox, PostgresOutbox, PostgresProjectionStore,
    Projection, Relay, Shutdown,
};
use pumasi_core::resilience::Backoff;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::postgres::{TRUTH, compare, publish};
use super::*;
use crate::private::Private;

/// How often the server is restarted: `PUMASI_FAULT_FULL=1` asks for more.
fn signals() -> Vec<&'static str> {
    // INT closes connections and writes what is in memory; QUIT ends at once, as a crash does.
    ["INT", "QUIT", "QUIT", "INT"].repeat(if is_full() { 5 } else { 1 })
}

/// Publishes one version after the other of ten entities, until it is aborted; the newest is told.
async fn change(bus: impl EventBus, newest: Arc<AtomicU64>) {
    for version in 1.. {
        let member = |key| Envelope::new("members", format!("m-{key}"), State::Updated, version);
        let events: Vec<_> = (0..10).map(|key| member(key).with_payload(&version).unwrap()).collect();
        bus.publish(&events).await.unwrap();
        newest.store(version, Ordering::SeqCst);
        // No faster than a busy machine projects them between two restarts.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_killed_and_comes_back_loses_and_doubles_nothing() {
    let start = || Private::start(Server::Postgres, "a restarted PostgreSQL");
    let Some(server) = tokio::task::spawn_blocking(start).await.unwrap() else { return };
    let options: PgConnectOptions = server.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(12).connect_lazy_with(options);
    sqlx::raw_sql(TRUTH).execute(&pool).await.unwrap();
    sqlx::raw_sql("CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, key text, id text)")
        .execute(&pool)
        .await
        .unwrap();
    let outbox = PostgresOutbox::new(pool.clone()).with_poll(Duration::from_millis(100));
    outbox.migrate().await.unwrap();
    let inbox = PostgresInbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
    let relay =
        Relay::new(outbox.clone(), bus.clone()).with_backoff(backoff).with_lease(Duration::from_secs(1));
    let relaying = tokio::spawn(relay.clone().run(shutdown.clone()));
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
    let consumer = Consumer::new(bus.clone(), Subscription::new("billing", [TOPIC]), handler)
        .with_max_attempts(100_000)
        .with_backoff(backoff);
    let consuming = tokio::spawn(consumer.run(shutdown.clone()));
    let store = PostgresProjectionStore::new(pool.clone());
    store.migrate().await.unwrap();
    let members: Projection<u64> = Projection::open("members", "members", store).await.unwrap();
    let newest = Arc::<AtomicU64>::default();
    let changing = tokio::spawn(change(bus.clone(), Arc::clone(&newest)));
    let projecting = Consumer::new(bus.clone(), members.subscription(), members.clone())
        .with_max_attempts(100_000)
        .with_backoff(backoff);
    let projecting = tokio::spawn(projecting.run(shutdown.clone()));
    let told = Arc::<Mutex<BTreeMap<String, usize>>>::default();
    let writing = [0, 1, 2].map(|_| {
        let (pool, outbox, told) = (pool.clone(), outbox.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            for n in 0.. {
                // Whether it was committed, the truth knows, which is part of it.
                if let Err(error) = publish(&pool, &outbox, &[format!("key-{}", n % 5)], true).await {
                    assert!(error.retry().is_retryable(), "{error:?}");
                    assert!(
                        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded),
                        "{error:?}"
                    );
                    *told.lock().unwrap().entry(error.to_string()).or_default() += 1;
                }
            }
        })
    });
    let count = async |statement: &'static str| {
        sqlx::query(statement).fetch_one(&pool).await.map_or(-1, |row| row.get::<i64, _>(0))
    };
    let server = Arc::new(server);
    let signals = signals();
    for signal in signals.iter().copied() {
        let before = count("SELECT count(*) FROM truth").await;
        until("some commits", async || count("SELECT count(*) FROM truth").await > before + 40).await;
        let server = Arc::clone(&server);
        let restart = move || {
            server.halt(signal);
            server.resume();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
    }
    let before = count("SELECT count(*) FROM truth").await;
    until("some commits", async || count("SELECT count(*) FROM truth").await > before + 40).await;
    // The writers end first, then what is left is worked off.
    for writing in writing.into_iter().chain([changing]) {
        writing.abort();
        assert!(writing.await.is_err_and(|ended| ended.is_cancelled()), "a writer ended by itself");
    }
    let events = count("SELECT count(*) FROM truth").await;
    until("all effects", async || count("SELECT count(*) FROM effect").await >= events).await;
    until("an empty outbox", async || outbox.backlog().await.is_ok_and(|backlog| backlog.pending == 0)).await;
    let last = newest.load(Ordering::SeqCst);
    until("the newest entities", async || {
        let newest = members.list(&EntityPage::default()).await.unwrap_or_default();
        newest.len() == 10 && newest.iter().all(|member| (member.version, member.value) == (last, last))
    })
    .await;
    let put_aside = bus.dead_letters(members.subscription().group(), Page::default()).await.unwrap();
    assert_eq!(put_aside, [], "a server that is away is no reason to put an event aside");
    shutdown.trigger();
    projecting.await.unwrap().unwrap();
    relaying.await.unwrap().unwrap();
    consuming.await.unwrap().unwrap();
    let events = compare(&pool, &published(&bus).await).await;
    let wrong = "SELECT count(*) FROM (SELECT key, id, row_number() OVER (PARTITION BY key ORDER BY n) AS n FROM effect) e \
                 FULL JOIN truth t ON t.key = e.key AND t.n = e.n WHERE e.id IS DISTINCT FROM t.id";
    assert_eq!(count(wrong).await, 0, "effects that are missing, doubled or out of order");
    println!(
        "PostgreSQL restarted {} times (half of them as by a crash): {events} events, {:?}; 0 lost, 0 doubled, order kept; \
         10 projected entities at version {last}; told meanwhile: {:?}",
        signals.len(),
        relay.stats(),
        told.lock().unwrap(),
    );
}
