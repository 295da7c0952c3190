//! How fast the outbox on PostgreSQL carries events, beside a bare loop that inserts and deletes as many rows in batches.
//!
//! `PUMASI_POSTGRES_URL=postgres://… cargo run --release -p benches --features postgres --bin outbox_relay [EVENTS [BATCH]]`
//!
//! Both sides have two writers, each with a transaction per batch, and two removers; they take turns, three rounds each, on
//! the same server. The bus is one that takes everything and does nothing, so that what is measured is the outbox: serialising,
//! the locks of 1,000 keys, claims, reading, parsing and deleting. The bare rows carry the same bytes, already serialised.
//! `relay_alone` empties an outbox that was filled before. Prints one JSON object; rates are events a second by the wall
//! clock, ratios are the median of the rounds' own.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::event::{
    BusCapabilities, DeadLetter, Envelope, EventBus, EventId, OutboxStore, Page, PostgresOutbox, Published,
    Relay, Shutdown, State, Subscriber, Subscription,
};
use pumasi_core::{ErrorKind, Result};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row};

type Failure = Box<dyn Error + Send + Sync>;

const WRITERS: usize = 2;
const ROUNDS: usize = 3;
const KEYS: usize = 1_000;

/// Takes everything and does nothing.
#[derive(Clone, Debug, Default)]
struct NullBus(Arc<AtomicUsize>);

#[async_trait]
impl EventBus for NullBus {
    fn capabilities(&self) -> BusCapabilities {
        BusCapabilities::none()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        self.0.fetch_add(events.len(), Ordering::Relaxed);
        Ok(Published::new(events.len(), 0))
    }

    async fn subscribe(&self, _: &Subscription) -> Result<Arc<dyn Subscriber>> {
        Err(pumasi_core::Error::new(ErrorKind::Unsupported, "the null bus has nothing to read"))
    }

    async fn dead_letters(&self, _: &str, _: Page) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: &str, _: &[EventId]) -> Result<usize> {
        Ok(0)
    }
}

fn events(count: usize) -> Result<Vec<Envelope>> {
    let payload = json!({
        "title": "첫 하프 마라톤 준비, 무엇부터 해야 할까요?",
        "body": "매일 아침 5 km를 달리고 기록을 남겼습니다. 처음에는 힘들었지만 한 달 뒤에는 숨이 차지 않았어요.",
        "tags": ["running", "습관"],
    });
    (0..count)
        .map(|n| {
            let key = format!("post-{}", n * 7 % KEYS);
            Envelope::new("posts", key, State::Updated, n as u64).with_payload(&payload)
        })
        .collect()
}

/// Inserts batches in two tasks and deletes them in two others; returns how long that took.
async fn bare(pool: &PgPool, bodies: &Arc<Vec<Vec<String>>>) -> Result<Duration, Failure> {
    let total: usize = bodies.iter().map(Vec::len).sum();
    let batch = i64::try_from(bodies.first().map_or(1, Vec::len))?;
    let removed = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for writer in 0..WRITERS {
        let (inserting, deleting) = (pool.clone(), pool.clone());
        let (bodies, removed) = (Arc::clone(bodies), Arc::clone(&removed));
        tasks.spawn(async move {
            for bodies in bodies.iter().skip(writer).step_by(WRITERS) {
                let mut transaction = inserting.begin().await?;
                sqlx::query("INSERT INTO bare (body) SELECT * FROM unnest($1::text[])")
                    .bind(bodies)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
            }
            Ok::<(), Failure>(())
        });
        tasks.spawn(async move {
            let delete = "DELETE FROM bare WHERE id IN \
                          (SELECT id FROM bare ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id, body";
            while removed.load(Ordering::Relaxed) < total {
                let rows = sqlx::query(delete).bind(batch).fetch_all(&deleting).await?;
                removed.fetch_add(rows.len(), Ordering::Relaxed);
                if rows.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(begun.elapsed())
}

/// Writes all batches in two tasks.
async fn write(
    pool: &PgPool,
    outbox: &PostgresOutbox,
    batches: &Arc<Vec<Vec<Envelope>>>,
) -> Result<(), Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (pool, outbox, batches) = (pool.clone(), outbox.clone(), Arc::clone(batches));
        tasks.spawn(async move {
            for events in batches.iter().skip(writer).step_by(WRITERS) {
                let mut transaction = pool.begin().await?;
                outbox.publish_in(&mut transaction, events).await?;
                transaction.commit().await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// Runs a relay until the bus has `total` events and the outbox none.
async fn relay(outbox: &PostgresOutbox, batch: NonZeroUsize, total: usize) -> Result<(), Failure> {
    let (bus, shutdown) = (NullBus::default(), Shutdown::new());
    let relay = Relay::new(outbox.clone(), bus.clone()).with_batch(batch);
    let running = tokio::spawn(relay.clone().run(shutdown.clone()));
    while relay.stats().relayed < total as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shutdown.trigger();
    let stats = running.await??;
    let left = outbox.backlog().await?.pending;
    if (stats.relayed, stats.failures, left, bus.0.load(Ordering::Relaxed)) != (total as u64, 0, 0, total) {
        return Err(format!("{total} events were written, {left} are left, {stats:?}").into());
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let Ok(url) = std::env::var("PUMASI_POSTGRES_URL") else {
        writeln!(out, "PUMASI_POSTGRES_URL is not set: nothing measured")?;
        return Ok(());
    };
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let total = arguments.next().transpose()?.unwrap_or(60_000);
    let batch =
        NonZeroUsize::new(arguments.next().transpose()?.unwrap_or(500)).ok_or("a batch of nothing")?;
    let schema = format!("pumasi_bench_{}", std::process::id());
    let options: PgConnectOptions = url.parse()?;
    let options = options.options([("search_path", schema.as_str())]);
    let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&pool).await?;
    let measured = measure(&pool, total, batch).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&pool).await?;
    writeln!(out, "{}", measured?)?;
    Ok(())
}

async fn measure(pool: &PgPool, total: usize, batch: NonZeroUsize) -> Result<serde_json::Value, Failure> {
    let table = "CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL)";
    sqlx::raw_sql(table).execute(pool).await?;
    let outbox = PostgresOutbox::new(pool.clone());
    outbox.migrate().await?;
    let events = events(total)?;
    let bodies: Vec<String> =
        events.iter().map(serde_json::to_string).collect::<std::result::Result<_, _>>()?;
    let bytes = bodies.iter().map(String::len).sum::<usize>() / total.max(1);
    let bodies = Arc::new(bodies.chunks(batch.get()).map(<[String]>::to_vec).collect::<Vec<_>>());
    let batches = Arc::new(events.chunks(batch.get()).map(<[Envelope]>::to_vec).collect::<Vec<_>>());
    let rate = |time: Duration| total as f64 / time.as_secs_f64();
    let (mut bare_rates, mut through, mut alone, mut ratios) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = rate(bare(pool, &bodies).await?);
        let begun = Instant::now();
        tokio::try_join!(write(pool, &outbox, &batches), relay(&outbox, batch, total))?;
        let both = rate(begun.elapsed());
        write(pool, &outbox, &batches).await?;
        let begun = Instant::now();
        relay(&outbox, batch, total).await?;
        alone.push(rate(begun.elapsed()));
        ratios.push(both / bare);
        bare_rates.push(bare);
        through.push(both);
    }
    let version: String = sqlx::query("SHOW server_version").fetch_one(pool).await?.try_get(0)?;
    let whole = |rates: Vec<f64>| median(rates).round();
    Ok(json!({
        "events": total,
        "batch": batch,
        "bytes_per_event": bytes,
        "bus": "null",
        "server": version,
        "rounds": ROUNDS,
        "bare_insert_and_delete_per_second": whole(bare_rates),
        "written_and_relayed_per_second": whole(through),
        "relay_alone_per_second": whole(alone),
        "ratio_to_bare": (median(ratios) * 100.0).round() / 100.0,
    }))
}
