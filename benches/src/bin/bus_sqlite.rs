//! What publishing on the SQLite bus costs beside a bare group-committed insert loop, in the same run.
//!
//! `cargo run --release -p benches --features sqlite --bin bus_sqlite -- [EVENTS [IN_FLIGHT [ROUNDS]]]`
//!
//! IN_FLIGHT (256) tasks send EVENTS (50,000) events, one a call, and each waits until its own is synced to the disk. Both
//! files are in the same folder, with a write-ahead log, `synchronous = FULL` and pages of 4 KiB.
//!
//! - **bare**: a writer task takes whatever waits, up to 1,024 events, inserts them with statements of up to 128 rows into
//!   one table (`seq` as the primary key, `id` unique, topic, key and the envelope as JSON), commits and answers all.
//!   It has no index on the topic, forgets no id, checks no envelope, and nobody can subscribe.
//! - **bus**: `SqliteBus::publish`.
//!
//! Prints JSON: the events a second of each side in the fastest of ROUNDS (5) alternating rounds, their ratio, and the CPU
//! seconds of the process.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::event::{Envelope, EventBus, EventId, SqliteBus, State};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy)]
struct Taken {
    per_second: f64,
    cpu: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let mut number = |default| numbers.next().unwrap_or(Ok(default));
    let (events, in_flight, rounds) = (number(50_000)?, number(256)?, number(5)?);
    let none = Taken { per_second: 0.0, cpu: 0.0 };
    let (mut bare, mut bus) = (none, none);
    for round in 0..rounds {
        let folder = tempfile::tempdir()?;
        // Each side goes first in every other round.
        for side in [round % 2, 1 - round % 2] {
            let (best, taken) = if side == 0 {
                (&mut bare, run_bare(&folder.path().join("bare.sqlite"), events, in_flight).await?)
            } else {
                (&mut bus, run_bus(&folder.path().join("bus.sqlite"), events, in_flight).await?)
            };
            if taken.per_second > best.per_second {
                *best = taken;
            }
        }
    }
    let side = |taken: Taken| json!({"events_per_second": taken.per_second.round(), "cpu_s": taken.cpu});
    let report = json!({
        "events": events, "in_flight": in_flight, "rounds": rounds, "bare": side(bare), "bus": side(bus),
        "ratio": bus.per_second / bare.per_second,
    });
    writeln!(std::io::stdout(), "{report:#}")?;
    Ok(())
}

fn event(number: u64) -> Result<Envelope, Failure> {
    let event =
        Envelope::new("posts", format!("post-{}", number % 1_000), State::Updated, number / 1_000 + 1);
    Ok(event.with_payload(&json!({"title": "러닝 3개월째", "likes": number % 100}))?)
}

/// Has `send` called for every event, so many at a time.
async fn timed<F, S>(events: u64, in_flight: u64, send: S) -> Result<Taken, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send,
    S: Fn(Envelope) -> F + Clone + Send + Sync + 'static,
{
    let (begun, cpu, next) = (Instant::now(), cpu(), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (next, send) = (Arc::clone(&next), send.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return Ok::<(), Failure>(());
                }
                send(event(number)?).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(Taken { per_second: events as f64 / begun.elapsed().as_secs_f64(), cpu: self::cpu() - cpu })
}

async fn run_bus(path: &Path, events: u64, in_flight: u64) -> Result<Taken, Failure> {
    let bus = SqliteBus::open(path).await?;
    let taken = timed(events, in_flight, move |event| {
        let bus = bus.clone();
        async move {
            bus.publish(&[event]).await?;
            Ok(())
        }
    });
    let taken = taken.await?;
    let mut connection = open(path).await?;
    check(&mut connection, "SELECT count(*) FROM pumasi_event_log", events).await?;
    Ok(taken)
}

async fn run_bare(path: &Path, events: u64, in_flight: u64) -> Result<Taken, Failure> {
    let mut connection = open(path).await?;
    sqlx::query(
        "CREATE TABLE log (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, topic TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL)",
    )
    .execute(&mut connection)
    .await?;
    let (rows, incoming) = mpsc::unbounded_channel();
    let writing = tokio::spawn(write(connection, incoming));
    let taken = timed(events, in_flight, move |event| {
        let rows = rows.clone();
        async move {
            let body = serde_json::to_string(&event)?;
            let (reply, synced) = oneshot::channel();
            rows.send((Row { id: event.id, topic: event.topic, key: event.key, body }, reply))?;
            Ok(synced.await?)
        }
    });
    let taken = taken.await?;
    let mut connection = writing.await??;
    check(&mut connection, "SELECT count(*) FROM log", events).await?;
    Ok(taken)
}

#[derive(Debug)]
struct Row {
    id: EventId,
    topic: String,
    key: String,
    body: String,
}

type Waiting = (Row, oneshot::Sender<()>);

async fn write(
    mut connection: SqliteConnection,
    mut incoming: mpsc::UnboundedReceiver<Waiting>,
) -> Result<SqliteConnection, Failure> {
    let mut batch = Vec::new();
    while incoming.recv_many(&mut batch, 1_024).await > 0 {
        let (rows, replies): (Vec<Row>, Vec<_>) = batch.drain(..).unzip();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let some = 1 << rows.len().min(128).ilog2();
            let mut statement = QueryBuilder::new("INSERT INTO log (id, topic, key, body) ");
            statement.push_values(rows.by_ref().take(some), |mut values, row| {
                values
                    .push_bind(row.id.as_bytes().to_vec())
                    .push_bind(row.topic)
                    .push_bind(row.key)
                    .push_bind(row.body);
            });
            statement.build().execute(&mut connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut connection).await?;
        for reply in replies {
            let _ = reply.send(());
        }
    }
    Ok(connection)
}

async fn open(path: &Path) -> Result<SqliteConnection, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(4096)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    Ok(options.connect().await?)
}

async fn check(connection: &mut SqliteConnection, count: &'static str, events: u64) -> Result<(), Failure> {
    let stored: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await?;
    if stored != i64::try_from(events)? {
        return Err(format!("{stored} of {events} events are stored").into());
    }
    connection.ping().await?;
    Ok(())
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}
