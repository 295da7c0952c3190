//! Sagas of eight durable steps under load, beside the bare group commit of the same minute, as JSON.
//!
//! `cargo run --release -p benches --features saga --bin saga_load -- --store memory|embedded|postgres|redis --sagas N
//! --in-flight C [--fail-step K] [--retention SECONDS] [--layer engine|store] [--lanes L]`
//!
//! With `--retention 0` a saga that has ended is forgotten at once, which shows what the engine itself keeps; else they stay in the
//! store. PostgreSQL and Redis are found by `PUMASI_POSTGRES_URL` and `PUMASI_REDIS_URL`; what is told of PostgreSQL's log is the whole
//! server's. The embedded store's file, and the ceiling's, are in `TMPDIR`, which should be on a disk; `slow_sync.c` beside this file makes
//! its syncs take as long as another disk's.

mod ceiling;
mod engine;
mod meter;
mod rows;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_saga::store::{MemoryStore, PostgresStore, RedisStore, SagaStore, SqliteStore};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};

use meter::{Meter, ServerLog, quantile, resident_kib};

/// How long the ceiling is measured, before and after the run.
const CEILING: Duration = Duration::from_secs(2);

struct Options {
    store: String,
    layer: String,
    sagas: usize,
    in_flight: usize,
    fail_step: usize,
    lanes: NonZeroUsize,
    retention: Option<Duration>,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self {
            store: "embedded".to_owned(),
            layer: "engine".to_owned(),
            sagas: 10_000,
            in_flight: 64,
            fail_step: 0,
            lanes: NonZeroUsize::MIN.saturating_add(1),
            retention: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{word} needs a number"));
            match word.as_str() {
                "--store" => options.store = value,
                "--layer" => options.layer = value,
                "--sagas" => options.sagas = number()?,
                "--in-flight" => options.in_flight = number()?.max(1),
                "--fail-step" => options.fail_step = number()?,
                "--retention" => {
                    options.retention =
                        Some(Duration::from_secs(u64::try_from(number()?).unwrap_or(u64::MAX)))
                }
                "--lanes" => {
                    options.lanes = NonZeroUsize::new(number()?).ok_or("--lanes needs at least 1")?
                }
                _ => return Err(format!("{word} is not known")),
            }
        }
        Ok(options)
    }
}

/// Bare group commits: how many sagas a second, and microseconds of this process's CPU for each.
struct Ceiling {
    rate: f64,
    cpu: f64,
}

/// A store under load, and what its numbers are read from.
struct Subject {
    store: Arc<dyn SagaStore>,
    sqlite: Option<SqliteStore>,
    postgres: Option<PgPool>,
    folder: tempfile::TempDir,
}

impl Subject {
    async fn open(options: &Options) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (mut sqlite, mut postgres) = (None, None);
        let store: Arc<dyn SagaStore> = match options.store.as_str() {
            "memory" => Arc::new(MemoryStore::new()),
            "embedded" => {
                let opened = SqliteStore::open(folder.path().join("sagas.db")).await;
                let opened = opened.map_err(|error| error.to_string())?;
                sqlite = Some(opened.clone());
                Arc::new(opened)
            }
            "postgres" => {
                let url =
                    std::env::var("PUMASI_POSTGRES_URL").map_err(|_| "PUMASI_POSTGRES_URL is not set")?;
                let server: PgConnectOptions = url.parse().map_err(|_| "PUMASI_POSTGRES_URL is no URL")?;
                let schema = "DROP SCHEMA IF EXISTS saga_load CASCADE; CREATE SCHEMA saga_load";
                let options_in = server.disable_statement_logging().options([("search_path", "saga_load")]);
                let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options_in);
                pool.execute(schema).await.map_err(|error| error.to_string())?;
                let store = PostgresStore::new(pool.clone()).with_lanes(options.lanes);
                store.migrate().await.map_err(|error| error.to_string())?;
                postgres = Some(pool);
                Arc::new(store)
            }
            "redis" => {
                let url = std::env::var("PUMASI_REDIS_URL").map_err(|_| "PUMASI_REDIS_URL is not set")?;
                let store = RedisStore::open(&url).map_err(|error| error.to_string())?;
                Arc::new(store.with_prefix(&format!("saga-load-{:016x}:", fastrand::u64(..))))
            }
            other => return Err(format!("there is no store {other}")),
        };
        Ok(Self { store, sqlite, postgres, folder })
    }

    async fn ceiling(&self, options: &Options) -> Option<Ceiling> {
        let meter = Meter::start();
        let rate = match (&self.sqlite, &self.postgres) {
            (_, Some(pool)) => ceiling::postgres(pool, options.lanes.get(), options.in_flight, CEILING).await,
            (Some(_), None) => ceiling::file(self.folder.path(), options.in_flight, CEILING).await,
            (None, None) => return None,
        };
        Some(Ceiling { rate, cpu: meter.cpu_micros() / (rate * meter.seconds()) })
    }

    async fn log(&self) -> ServerLog {
        match (&self.sqlite, &self.postgres) {
            (_, Some(pool)) => ServerLog::read(pool).await,
            (Some(sqlite), None) => {
                ServerLog { syncs: i64::try_from(sqlite.transactions()).unwrap_or(0), bytes: 0 }
            }
            (None, None) => ServerLog::default(),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let options = Options::read()?;
    let subject = Subject::open(&options).await?;
    let before = subject.ceiling(&options).await;
    let (resident, log, meter) = (resident_kib(), subject.log().await, Meter::start());
    let store = Arc::clone(&subject.store);
    let mut latencies = match options.layer.as_str() {
        "engine" => engine::run(store, &options).await?,
        _ => rows::run(store, options.sagas, options.in_flight).await,
    };
    let (seconds, cpu, log) = (meter.seconds(), meter.cpu_micros(), subject.log().await.since(log));
    let resident_after = resident_kib();
    let after = subject.ceiling(&options).await;
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "rates")]
    let (sagas, syncs, bytes) = (latencies.len() as f64, log.syncs as f64, log.bytes as f64);
    let rate = sagas / seconds;
    let ceilings = before.zip(after).map(|(before, after)| [before, after]);
    let of_both = |value: fn(&Ceiling) -> f64| {
        let [before, after] = ceilings.as_ref()?;
        Some([value(before).round(), value(after).round()])
    };
    let ceiling = ceilings.as_ref().map(|[before, after]| f64::midpoint(before.rate, after.rate));
    let report = json!({
        "store": options.store,
        "layer": options.layer,
        "sagas": latencies.len(),
        "in_flight": options.in_flight,
        "fail_step": options.fail_step,
        "sagas_per_second": rate.round(),
        "p50_ms": quantile(&latencies, 0.5),
        "p99_ms": quantile(&latencies, 0.99),
        "cpu_us_per_saga": (cpu / sagas).round(),
        "syncs_per_saga": syncs / sagas,
        "log_bytes_per_saga": (bytes / sagas).round(),
        "resident_kib_start": resident,
        "resident_kib_end": resident_after,
        "ceiling_sagas_per_second": of_both(|ceiling| ceiling.rate),
        "ceiling_cpu_us_per_saga": of_both(|ceiling| ceiling.cpu),
        "of_ceiling": ceiling.map(|ceiling| (rate / ceiling * 100.0).round() / 100.0),
    });
    println!("{report}");
    Ok(())
}
