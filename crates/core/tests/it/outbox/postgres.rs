//! Outbox and inbox on PostgreSQL: many at the same time, woken, cut off.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use pumasi_core::event::{
    Arrival, Consumer, Context, Delivery, Handler, OutboxStore, PostgresInbox, PostgresOutbox,
    PostgresProjectionStore, Relay, Shutdown,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row};

use super::proxy::Proxy;
use super::*;
use pumasi_core::conformance::PostgresSchema;

/// What each transaction that published wrote down beside it, under the lock that publishing holds: the order of commits.
pub(super) const TRUTH: &str = "CREATE TABLE truth (key text, n bigint, id text, PRIMARY KEY (key, n))";

/// Publishes one event for each key, writes down their order, and commits.
pub(super) async fn publish(
    pool: &PgPool,
    outbox: &PostgresOutbox,
    keys: &[String],
    commits: bool,
) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    let events: Vec<_> = keys.iter().map(|key| event(key, 0)).collect();
    outbox.publish_in(&mut transaction, &events).await?;
    for event in &events {
        let write = "INSERT INTO truth SELECT $1, coalesce(max(n), 0) + 1, $2 FROM truth WHERE key = $1";
        sqlx::query(write).bind(&event.key).bind(event.id.to_string()).execute(&mut *transaction).await?;
    }
    if fastrand::u8(..) < 100 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..8))).await;
    }
    if commits {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}

/// Compares what a bus has with what was committed: everything once, each key in the order of its commits.
pub(super) async fn compare(pool: &PgPool, there: &[Arc<Envelope>]) -> usize {
    let rows = sqlx::query("SELECT key, id FROM truth ORDER BY key, n").fetch_all(pool).await.unwrap();
    let mut truth: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        truth.entry(row.get(0)).or_default().push(row.get(1));
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in there {
        found.entry(event.key.clone()).or_default().push(event.id.to_string());
    }
    for (key, ids) in &truth {
        assert_eq!(found.get(key), Some(ids), "the events of {key}");
    }
    assert_eq!(found.len(), truth.len(), "keys that nobody committed");
    rows.len()
}

fn keys_of(writer: usize) -> Vec<String> {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for _ in 0..fastrand::usize(1..=3) {
        keys.insert(format!("key-{}", fastrand::usize(0..10)));
    }
    if fastrand::u8(..) < 50 {
        keys.insert(format!("own-{writer}"));
    }
    let mut keys: Vec<String> = keys.into_iter().collect();
    fastrand::shuffle(&mut keys);
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_of_the_same_keys_and_four_relays_keep_the_order_of_the_commits_and_double_nothing() {
    let Some(schema) = PostgresSchema::new("writers and relays at once").await else { return };
    sqlx::raw_sql(TRUTH).execute(&schema.pool).await.unwrap();
    let outbox = PostgresOutbox::new(schema.pool.clone());
    outbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let relay_pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(schema.options.clone());
    let relays: Vec<_> = (0..2)
        .map(|_| {
            Relay::new(PostgresOutbox::new(relay_pool.clone()), bus.clone())
                .with_batch(NonZeroUsize::new(16).unwrap())
        })
        .collect();
    let running: Vec<_> =
        relays.iter().map(|relay| tokio::spawn(relay.clone().run(shutdown.clone()))).collect();
    let rolled_back = Arc::new(AtomicU64::new(0));
    let writers = (0..8).map(|writer| {
        let (pool, outbox, rolled_back) = (schema.pool.clone(), outbox.clone(), Arc::clone(&rolled_back));
        tokio::spawn(async move {
            for _ in 0..60 {
                let commits = fastrand::u8(..) > 25;
                publish(&pool, &outbox, &keys_of(writer), commits).await.unwrap();
                rolled_back.fetch_add(u64::from(!commits), Ordering::Relaxed);
            }
        })
    });
    futures_util::future::try_join_all(writers).await.unwrap();
    until("an empty outbox", async || outbox.backlog().await.unwrap().pending == 0).await;
    shutdown.trigger();
    for relay in running {
        relay.await.unwrap().unwrap();
    }
    let events = compare(&schema.pool, &published(&bus).await).await;
    let (mut shares, mut doubles) = (Vec::new(), 0);
    for relay in &relays {
        let stats = relay.stats();
        shares.push(stats.relayed);
        doubles += stats.duplicates + stats.lost + stats.failures;
    }
    assert_eq!((shares.iter().sum::<u64>(), doubles), (events as u64, 0));
    assert!(shares.iter().all(|share| *share > 0), "one relay did all the work: {shares:?}");
    println!(
        "postgres outbox: 8 writers of shared keys, 480 transactions, {} rolled back, {events} events, relays {shares:?}; \
         0 lost, 0 published twice, order of the commits kept",
        rolled_back.load(Ordering::Relaxed),
    );
}

#[tokio::test]
async fn a_commit_wakes_the_relay_and_so_does_one_after_its_connection_was_cut() {
    let Some(schema) = PostgresSchema::new("waking relays").await else { return };
    let name = format!("listener-{}", schema.name());
    let options = schema.options.clone().application_name(&name);
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
    // Far longer than the test waits: only a notification can wake it.
    let outbox = PostgresOutbox::new(pool).with_poll(Duration::from_hours(1));
    outbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let running = tokio::spawn(Relay::new(outbox.clone(), bus.clone()).run(shutdown.clone()));
    let listening = async || {
        let listens =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'";
        let row = sqlx::query(listens).bind(&name).fetch_one(&schema.pool).await.unwrap();
        row.get::<i64, _>(0) == 1
    };
    until("a listening connection", listening).await;
    let mut latencies = Vec::new();
    for version in 1..=20 {
        if version == 11 {
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'";
            let row = sqlx::query(cut).bind(&name).fetch_one(&schema.pool).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 1);
        }
        let begun = std::time::Instant::now();
        let mut transaction = schema.pool.begin().await.unwrap();
        outbox.publish_in(&mut transaction, &[event("a", version)]).await.unwrap();
        transaction.commit().await.unwrap();
        until("the event", async || outbox.backlog().await.unwrap().pending == 0).await;
        latencies.push(begun.elapsed());
    }
    shutdown.trigger();
    running.await.unwrap().unwrap();
    assert_eq!(versions_by_key(&published(&bus).await)["a"], (1..=20).collect::<Vec<_>>());
    latencies.sort();
    println!(
        "woken by NOTIFY with an hour of polling: median {:?}, longest {:?}",
        latencies[10], latencies[19]
    );
}

#[tokio::test]
async fn without_notifications_the_relay_finds_events_by_polling() {
    let Some(schema) = PostgresSchema::new("polling").await else { return };
    let outbox =
        PostgresOutbox::new(schema.pool.clone()).with_poll(Duration::from_millis(20)).with_polling_alone();
    outbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let running = tokio::spawn(Relay::new(outbox.clone(), bus.clone()).run(shutdown.clone()));
    for version in 1..=3 {
        let mut transaction = schema.pool.begin().await.unwrap();
        outbox.publish_in(&mut transaction, &[event("a", version)]).await.unwrap();
        transaction.commit().await.unwrap();
        until("the event", async || outbox.backlog().await.unwrap().pending == 0).await;
    }
    shutdown.trigger();
    assert_eq!(running.await.unwrap().unwrap().relayed, 3);
}

#[tokio::test]
async fn many_processes_may_migrate_at_once_and_a_newer_layout_is_refused() {
    let Some(schema) = PostgresSchema::new("migrations").await else { return };
    let starts = (0..12).map(|_| async {
        // A pool each, as processes have.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(schema.options.clone());
        PostgresOutbox::new(pool.clone()).migrate().await?;
        PostgresInbox::new(pool.clone()).migrate().await?;
        PostgresProjectionStore::new(pool).migrate().await
    });
    futures_util::future::try_join_all(starts).await.unwrap();
    for component in ["outbox", "inbox", "projection"] {
        let rows = format!("SELECT version FROM pumasi_{component}_schema");
        let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&schema.pool).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<i32, _>(0)).collect::<Vec<_>>(), [1], "{component}");
    }
    sqlx::query("UPDATE pumasi_outbox_schema SET version = 99").execute(&schema.pool).await.unwrap();
    let error = PostgresOutbox::new(schema.pool.clone()).migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn delivery_of(event: Envelope) -> Delivery {
    let receipt = pumasi_core::event::Receipt {
        topic: TOPIC.into(),
        key: event.key.as_str().into(),
        position: 1,
        fence: 1,
        attempt: 1,
    };
    Delivery::new(Arc::new(event), receipt)
}

async fn effects(pool: &PgPool) -> i64 {
    sqlx::query("SELECT count(*) FROM effect").fetch_one(pool).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_deliveries_of_one_event_at_once_one_has_its_effect() {
    let Some(schema) = PostgresSchema::new("the inbox").await else { return };
    sqlx::raw_sql("CREATE TABLE effect (key text)").execute(&schema.pool).await.unwrap();
    let inbox = PostgresInbox::new(schema.pool.clone()).with_max(25);
    inbox.migrate().await.unwrap();
    let failing = Arc::new(AtomicU64::new(0));
    let fails = Arc::clone(&failing);
    let handler = Arc::new(inbox.handler("billing", move |transaction, delivery| {
        let fails =
            fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Box::pin(async move {
            sqlx::query("INSERT INTO effect VALUES ($1)")
                .bind(&delivery.event.key)
                .execute(transaction)
                .await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if fails { Err(Error::new(ErrorKind::Unavailable, "not now")) } else { Ok(()) }
        })
    }));
    let mut refused = 0;
    for round in 0..10 {
        // The first to come fails now and then; one of those who waited for it takes over.
        failing.store(u64::from(round % 2 == 0), Ordering::SeqCst);
        let delivery = delivery_of(event(&format!("k-{round}"), 1));
        let at_once = (0..6).map(|_| {
            let (handler, delivery) = (Arc::clone(&handler), delivery.clone());
            tokio::spawn(async move { handler.handle(&delivery).await })
        });
        for outcome in futures_util::future::join_all(at_once).await {
            refused += u64::from(outcome.unwrap().is_err());
        }
        assert_eq!(effects(&schema.pool).await, round + 1, "in round {round}");
    }
    assert_eq!(refused, 5);
    // Another group has its own effects, and what was rolled back was not handled.
    let id = EventId::random();
    for (commits, expected) in [(false, Arrival::First), (true, Arrival::First), (true, Arrival::Again)] {
        let mut transaction = schema.pool.begin().await.unwrap();
        assert_eq!(inbox.begin(&mut transaction, "billing", id).await.unwrap(), expected);
        if commits {
            assert_eq!(inbox.begin(&mut transaction, "mails", id).await.unwrap(), expected);
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    // Bounded: of 12 and 20 more, 25 stay; and none of them after its time.
    for _ in 0..20 {
        let mut transaction = schema.pool.begin().await.unwrap();
        let arrival = inbox.begin(&mut transaction, "billing", EventId::random()).await.unwrap();
        assert_eq!(arrival, Arrival::First);
        transaction.commit().await.unwrap();
    }
    assert_eq!(inbox.clean_up().await.unwrap(), 7);
    assert_eq!(inbox.clean_up().await.unwrap(), 0);
    let short = inbox.clone().with_retention(Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(short.clean_up().await.unwrap(), 25);
    println!("inbox: 60 deliveries of 10 events, 6 at once each, 5 failed on purpose: 10 effects");
}

#[tokio::test]
async fn when_the_answer_to_a_commit_is_lost_neither_effect_nor_event_is_lost_or_doubled() {
    let Some(schema) = PostgresSchema::new("lost answers to commits").await else { return };
    sqlx::raw_sql("CREATE TABLE effect (key text)").execute(&schema.pool).await.unwrap();
    let proxy = Proxy::default();
    let through = proxy.before(&schema.options).await;
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(through);
    let inbox = PostgresInbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            sqlx::query("INSERT INTO effect VALUES ($1)")
                .bind(&delivery.event.key)
                .execute(transaction)
                .await?;
            Ok(())
        })
    });
    // The consuming side.
    for round in 1..=10 {
        proxy.cuts.store(1, Ordering::SeqCst);
        let delivery = delivery_of(event(&format!("k-{round}"), 1));
        let error = handler.handle(&delivery).await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Unavailable, true), "{error:?}");
        assert_eq!(effects(&schema.pool).await, round, "it was committed, although nobody was told");
        handler.handle(&delivery).await.unwrap();
        assert_eq!(effects(&schema.pool).await, round, "and is not repeated");
    }
    // The relay: what it has published and deleted, and believes not to have deleted.
    let outbox = PostgresOutbox::new(pool).with_polling_alone().with_poll(Duration::from_millis(10));
    outbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let relay = Relay::new(outbox.clone(), bus.clone())
        .with_backoff(Backoff::constant(Duration::from_millis(5)))
        .with_workers(NonZeroUsize::MIN);
    let running = tokio::spawn(relay.clone().run(shutdown.clone()));
    let direct = PostgresOutbox::new(schema.pool.clone());
    for version in 1..=10 {
        proxy.cuts.store(1, Ordering::SeqCst);
        let mut transaction = schema.pool.begin().await.unwrap();
        direct.publish_in(&mut transaction, &[event("a", version)]).await.unwrap();
        transaction.commit().await.unwrap();
        until("an empty outbox", async || {
            proxy.cuts.load(Ordering::SeqCst) == 0 && direct.backlog().await.unwrap().pending == 0
        })
        .await;
    }
    shutdown.trigger();
    let stats = running.await.unwrap().unwrap();
    assert!(stats.failures >= 9, "{stats:?}");
    assert_eq!(versions_by_key(&published(&bus).await)["a"], (1..=10).collect::<Vec<_>>());
    println!(
        "connections cut between a commit and its answer: 10 effects, each once; 10 relayed batches, {stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_connections_are_cut_at_random_every_event_has_its_effect_once_and_in_order() {
    let Some(schema) = PostgresSchema::new("connections cut at random").await else { return };
    sqlx::raw_sql(TRUTH).execute(&schema.pool).await.unwrap();
    let effect = "CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, key text, id text, actor text)";
    sqlx::raw_sql(effect).execute(&schema.pool).await.unwrap();
    let name = format!("victim-{}", schema.name());
    let victims = PgPoolOptions::new()
        .max_connections(12)
        .connect_lazy_with(schema.options.clone().application_name(&name));
    let outbox = PostgresOutbox::new(victims.clone()).with_poll(Duration::from_millis(50));
    let inbox = PostgresInbox::new(victims.clone());
    PostgresOutbox::new(schema.pool.clone()).migrate().await.unwrap();
    PostgresInbox::new(schema.pool.clone()).migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(50));
    let relay = Relay::new(outbox.clone(), bus.clone())
        .with_backoff(backoff)
        .with_lease(Duration::from_millis(500))
        .with_batch(NonZeroUsize::new(20).unwrap());
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            let actor = Context::current().and_then(|context| context.actor).map(|actor| actor.id);
            sqlx::query("INSERT INTO effect (key, id, actor) VALUES ($1, $2, $3)")
                .bind(&delivery.event.key)
                .bind(delivery.event.id.to_string())
                .bind(actor)
                .execute(transaction)
                .await?;
            Ok(())
        })
    });
    let consumer = Consumer::new(bus.clone(), Subscription::new("billing", [TOPIC]), handler)
        .with_max_attempts(10_000)
        .with_backoff(backoff);
    let control = consumer.control();
    let consuming = tokio::spawn(consumer.run(shutdown.clone()));
    let relaying = tokio::spawn(relay.clone().run(shutdown.clone()));
    let failures = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (pool, outbox, failures) = (victims.clone(), outbox.clone(), Arc::clone(&failures));
            tokio::spawn(async move {
                for _ in 0..80 {
                    // Whether it was committed, the truth knows, which is part of it.
                    if publish(&pool, &outbox, &keys_of(writer), true).await.is_err() {
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let mut cut = 0_i64;
    let cuts = async {
        for writer in writers {
            while !writer.is_finished() {
                let one = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                           WHERE application_name = $1 ORDER BY random() LIMIT 1) AS victim";
                cut += sqlx::query(one).bind(&name).fetch_one(&schema.pool).await.unwrap().get::<i64, _>(0);
                tokio::time::sleep(Duration::from_millis(fastrand::u64(5..40))).await;
            }
            writer.await.unwrap();
        }
    };
    cuts.await;
    let count = async |statement: &'static str| {
        sqlx::query(statement).fetch_one(&schema.pool).await.unwrap().get::<i64, _>(0)
    };
    let events = count("SELECT count(*) FROM truth").await;
    until("all effects", async || count("SELECT count(*) FROM effect").await >= events).await;
    until("an empty outbox", async || count("SELECT count(*) FROM pumasi_outbox_event").await == 0).await;
    shutdown.trigger();
    relaying.await.unwrap().unwrap();
    consuming.await.unwrap().unwrap();
    compare(&schema.pool, &published(&bus).await).await;
    let wrong = "SELECT count(*) FROM (SELECT key, id, row_number() OVER (PARTITION BY key ORDER BY n) AS n FROM effect) e \
                 FULL JOIN truth t ON t.key = e.key AND t.n = e.n WHERE e.id IS DISTINCT FROM t.id";
    assert_eq!(count(wrong).await, 0, "effects that are missing, doubled or out of order");
    let (stats, relayed) = (control.stats(), relay.stats());
    assert!(cut > 10, "only {cut} connections were cut");
    println!(
        "connections cut at random: {cut} cut, {events} events committed, {} transactions failed, relay {relayed:?}, \
         {} attempts repeated; 0 lost, 0 doubled, order kept",
        failures.load(Ordering::Relaxed),
        stats.retried,
    );
}
