//! Batches whose processes are killed.
//!
//! Two processes run the same batches one after the other and start a second batch by each completion, while they are killed
//! at random moments. `PUMASI_FAULT_KILLS` sets how often (default 20 on each database, some 10 seconds).

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{Consumer, Shutdown, SqliteBus, Subscription};
use pumasi_core::schedule::batch::{
    Batch, BatchCompleted, BatchDatabase, BatchOutcome, BatchRun, ChunkJob, Entry, Parameters, StartOn,
};
use pumasi_core::schedule::database_error;
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::{Row, Sqlite};

use super::*;

const ITEMS: i64 = 40;
/// How many months are worked on at least, however slowly a busy machine starts the processes.
const MONTHS: i64 = 2;
const TABLES: &str = "CREATE TABLE IF NOT EXISTS effect (job TEXT NOT NULL, month BIGINT NOT NULL, n BIGINT NOT NULL); \
    CREATE TABLE IF NOT EXISTS outbox (id TEXT NOT NULL, body TEXT NOT NULL)";

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the fault tests with a part"]
fn plays_its_part_as_a_child() {
    let Some(part) = Part::given() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match std::env::var("PUMASI_FAULT_SCHEMA").unwrap().as_str() {
            "" => on_sqlite(&part.folder).await,
            schema => on_postgres(&part.folder, schema).await,
        }
    });
}

/// Kills two processes again and again, then lets them finish.
fn torment(folder: &Path, schema: &str) -> u32 {
    let kills = kills(20);
    let mut crew = Crew::new("schedule::faults::plays_its_part_as_a_child", folder)
        .with_environment("PUMASI_FAULT_SCHEMA", schema);
    for worker in ["worker-0", "worker-1"] {
        crew.start(worker).unwrap();
    }
    crew.kill_at_random(kills, Duration::from_millis(60)..Duration::from_millis(700)).unwrap();
    std::fs::write(folder.join("stop"), "").unwrap();
    crew.wait_for_all(Duration::from_mins(3)).unwrap();
    kills
}

struct Items;

macro_rules! writes_to {
    ($database:ty, $connection:ty) => {
        #[async_trait]
        impl ChunkJob<$database> for Items {
            type Item = i64;
            type Position = i64;
            type Output = i64;

            async fn read(
                &self,
                _: &BatchRun,
                after: Option<&i64>,
                limit: NonZeroUsize,
            ) -> Result<Vec<Entry<i64, i64>>> {
                let numbers = (after.copied().unwrap_or(0) + 1..=ITEMS).take(limit.get());
                Ok(numbers.map(|number| Entry { position: number, item: number }).collect())
            }

            async fn process(&self, _: &BatchRun, number: &i64) -> Result<Option<i64>> {
                if fastrand::u8(0..100) == 0 {
                    return Err(Error::new(ErrorKind::Unavailable, "now and then"));
                }
                Ok(Some(*number))
            }

            async fn write(
                &self,
                run: &BatchRun,
                connection: &mut $connection,
                items: &[&i64],
            ) -> Result<()> {
                let month: i64 = run.parameters["month"].parse().unwrap();
                for number in items {
                    sqlx::query("INSERT INTO effect (job, month, n) VALUES ($1, $2, $3)")
                        .bind(&run.job)
                        .bind(month)
                        .bind(*number)
                        .execute(&mut *connection)
                        .await
                        .map_err(|error| database_error("writing an effect", error))?;
                    // Killed in the middle of a transaction, too.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(())
            }
        }
    };
}

writes_to!(Sqlite, sqlx::SqliteConnection);

fn batch<DB: BatchDatabase>(name: &str, pool: sqlx::Pool<DB>) -> Batch<DB, Items>
where
    Items: ChunkJob<DB>,
{
    Batch::new(name, pool, Items)
        .with_chunk(NonZeroUsize::new(7).unwrap())
        .with_lease(Duration::from_millis(500))
}

fn month(month: i64) -> Parameters {
    Parameters::from([("month".to_owned(), month.to_string())])
}

/// Runs it until it is complete, however often another node has it.
async fn complete<DB: BatchDatabase>(batch: &Batch<DB, Items>, parameters: &Parameters) -> BatchOutcome
where
    Items: ChunkJob<DB>,
{
    loop {
        match batch.run(parameters, &Shutdown::new()).await {
            Ok(outcome) => return outcome,
            Err(error) if error.kind() == ErrorKind::Conflict || error.retry().is_retryable() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

const COMPLETED: &str = "SELECT count(*) FROM pumasi_batch_run WHERE job = $1 AND status = 'completed'";

const OPEN: &str = "SELECT count(*) FROM pumasi_batch_run WHERE job = 'payments' AND status <> 'completed'";

async fn on_sqlite(folder: &Path) {
    let pool = sqlite(folder).await;
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let bus = SqliteBus::open(folder.join("service.db")).await.unwrap();
    let payments = batch("payments", pool.clone()).with_completion_within("batches", bus.clone());
    let members = batch("members", pool.clone()).with_completion_within("batches", bus.clone());
    let parameters = |completed: &BatchCompleted| completed.parameters.clone();
    let start = StartOn::new(Arc::new(members), "payments", parameters, Shutdown::new());
    let lease = Duration::from_millis(600);
    let subscription = Subscription::new("members-batch", ["batches"]).with_lease(lease);
    let backoff = pumasi_core::resilience::Backoff::constant(Duration::from_millis(50));
    let consumer = Consumer::new(bus, subscription, start).with_max_attempts(1_000_000).with_backoff(backoff);
    let shutdown = Shutdown::new();
    let consumer = tokio::spawn(consumer.run(shutdown.clone()));
    // Its first run makes the table.
    complete(&payments, &month(0)).await;
    loop {
        let done: i64 = sqlx::query_scalar(COMPLETED).bind("payments").fetch_one(&pool).await.unwrap();
        let stop = folder.join("stop").exists();
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&pool).await.unwrap();
        if !stop || open > 0 || done < MONTHS {
            complete(&payments, &month(done)).await;
            continue;
        }
        let members: i64 = sqlx::query_scalar(COMPLETED).bind("members").fetch_one(&pool).await.unwrap();
        if members == done {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.trigger();
    consumer.await.unwrap().unwrap();
}

/// Each month's items are there once for each batch, and nothing else; `(months, effects)`.
fn check(effects: &[(String, i64, i64)], completed: &BTreeMap<String, i64>) -> (i64, usize) {
    let mut found: BTreeMap<(&str, i64), Vec<i64>> = BTreeMap::new();
    for (job, month, number) in effects {
        found.entry((job, *month)).or_default().push(*number);
    }
    for ((job, month), numbers) in &mut found {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=ITEMS), "{job} of month {month} wrote {numbers:?}");
    }
    let months = completed["payments"];
    assert_eq!(completed["members"], months);
    assert!(months >= MONTHS, "too little happened to tell anything");
    for job in ["payments", "members"] {
        let written: Vec<i64> =
            found.keys().filter(|(name, _)| *name == job).map(|(_, month)| *month).collect();
        assert!(written.iter().copied().eq(0..months), "months of {job}: {written:?}");
    }
    (months, effects.len())
}

fn report(
    backend: &str,
    kills: u32,
    (months, effects): (i64, usize),
    events: usize,
    starts: i64,
    begun: Instant,
) {
    assert_eq!(i64::try_from(events).unwrap(), months * 2, "completion events");
    println!(
        "batches on {backend}: {kills} processes killed, {months} runs of either batch in {starts} starts, {effects} effects, \
         {events} completion events; 0 lost, 0 doubled ({:.1} s)",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn each_item_has_its_effect_once_on_sqlite_when_processes_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let kills = torment(folder.path(), "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlite(folder.path()).await;
        let effects = sqlx::query_as("SELECT job, month, n FROM effect").fetch_all(&pool).await.unwrap();
        let sql = "SELECT job, count(*), sum(progress ->> 'starts') FROM pumasi_batch_run GROUP BY job";
        let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
        let completed = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let starts = rows.iter().map(|row| row.get::<i64, _>(2)).sum();
        let events: i64 =
            sqlx::query_scalar("SELECT count(DISTINCT id) FROM pumasi_event_log WHERE topic = 'batches'")
                .fetch_one(&pool)
                .await
                .unwrap();
        report("sqlite", kills, check(&effects, &completed), usize::try_from(events).unwrap(), starts, begun);
    });
}

#[cfg(not(all(feature = "postgres", feature = "conformance")))]
#[expect(clippy::unused_async, reason = "it stands in for the one that is")]
async fn on_postgres(_: &Path, schema: &str) {
    panic!("this program cannot use the schema {schema}");
}

#[cfg(all(feature = "postgres", feature = "conformance"))]
use postgres::on_postgres;

#[cfg(all(feature = "postgres", feature = "conformance"))]
mod postgres {
    use std::str::FromStr;

    use pumasi_core::event::Envelope;
    use pumasi_core::schedule::batch::CompletionSink;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use sqlx::{PgConnection, Postgres};

    use super::*;

    writes_to!(Postgres, PgConnection);

    /// An outbox as a service may have it.
    struct Outbox;

    #[async_trait]
    impl CompletionSink<Postgres> for Outbox {
        async fn publish_in(&self, connection: &mut PgConnection, event: &Envelope) -> Result<()> {
            sqlx::query("INSERT INTO outbox VALUES ($1, $2)")
                .bind(event.id.to_string())
                .bind(serde_json::to_string(event).unwrap())
                .execute(connection)
                .await
                .map(|_| ())
                .map_err(|error| database_error("writing the outbox", error))
        }
    }

    pub(super) async fn on_postgres(folder: &Path, schema: &str) {
        let options = PgConnectOptions::from_str(&std::env::var("PUMASI_POSTGRES_URL").unwrap()).unwrap();
        let options = options.options([("search_path", schema)]);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let payments = batch("payments", pool.clone()).with_completion_within("batches", Outbox);
        let members = batch("members", pool.clone()).with_completion_within("batches", Outbox);
        // Its first run makes the table.
        complete(&payments, &month(0)).await;
        loop {
            let done: i64 = sqlx::query_scalar(COMPLETED).bind("payments").fetch_one(&pool).await.unwrap();
            let stop = folder.join("stop").exists();
            let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&pool).await.unwrap();
            if !stop || open > 0 || done < MONTHS {
                complete(&payments, &month(done)).await;
            }
            let bodies: Vec<String> =
                sqlx::query_scalar("SELECT body FROM outbox").fetch_all(&pool).await.unwrap();
            for body in &bodies {
                let event: Envelope = serde_json::from_str(body).unwrap();
                let completed: BatchCompleted = event.payload().unwrap();
                if completed.job == "payments" {
                    complete(&members, &completed.parameters).await;
                }
            }
            let members: i64 = sqlx::query_scalar(COMPLETED).bind("members").fetch_one(&pool).await.unwrap();
            if stop && open == 0 && done >= MONTHS && members == done {
                break;
            }
        }
    }

    #[test]
    fn each_item_has_its_effect_once_on_postgres_when_processes_are_killed() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(schema) =
            runtime.block_on(pumasi_core::conformance::PostgresSchema::new("batches on PostgreSQL"))
        else {
            return;
        };
        runtime.block_on(sqlx::raw_sql(TABLES).execute(&schema.pool)).unwrap();
        let kills = torment(folder.path(), schema.name());
        runtime.block_on(async {
            let pool = &schema.pool;
            let effects = sqlx::query_as("SELECT job, month, n FROM effect").fetch_all(pool).await.unwrap();
            let sql = "SELECT job, count(*), sum((progress::jsonb ->> 'starts')::bigint)::bigint FROM pumasi_batch_run GROUP BY job";
            let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
            let completed = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let starts = rows.iter().map(|row| row.get::<i64, _>(2)).sum();
            let events: Vec<String> =
                sqlx::query_scalar("SELECT id FROM outbox").fetch_all(pool).await.unwrap();
            report("postgres", kills, check(&effects, &completed), events.len(), starts, begun);
        });
    }
}
