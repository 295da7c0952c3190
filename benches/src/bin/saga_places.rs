//! One hot race: registrations per second by a desk that grants together what arrives together, beside one row lock a
//! transaction, as JSON.
//!
//! `cargo run --release -p benches --features saga --bin saga_places -- [IN_FLIGHT] [SECONDS]`, with `PUMASI_POSTGRES_URL`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pumasi_saga::capacity::{Capacity, PostgresCapacity};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};

/// More than anybody can take in the time.
const PLACES: u64 = 1_000_000_000;

#[tokio::main]
async fn main() -> Result<(), String> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>().map_err(|_| "numbers, please"));
    let in_flight = words.next().transpose()?.unwrap_or(64);
    let time = Duration::from_secs(words.next().transpose()?.unwrap_or(4));
    let url = std::env::var("PUMASI_POSTGRES_URL").map_err(|_| "PUMASI_POSTGRES_URL is not set")?;
    let server: PgConnectOptions = url.parse().map_err(|_| "PUMASI_POSTGRES_URL is no URL")?;
    let server = server.disable_statement_logging().options([("search_path", "saga_places")]);
    let pool = PgPoolOptions::new().max_connections(16).connect_lazy_with(server);
    let made = "DROP SCHEMA IF EXISTS saga_places CASCADE; CREATE SCHEMA saga_places; \
                CREATE TABLE race (id integer PRIMARY KEY, used bigint NOT NULL, places bigint NOT NULL); \
                INSERT INTO race VALUES (1, 0, 1000000000); \
                CREATE TABLE registration (race integer, participant bigint, PRIMARY KEY (race, participant))";
    pool.execute(made).await.map_err(|error| error.to_string())?;
    let places = PostgresCapacity::new(pool.clone());
    places.migrate().await.map_err(|error| error.to_string())?;
    let desk = Capacity::new(places, "race");
    desk.open(PLACES).await.map_err(|error| error.to_string())?;

    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let pool = pool.clone();
        alone.push(rate(in_flight, time, move |n| lock_alone(pool.clone(), n)).await);
        let desk = desk.clone();
        together.push(
            rate(in_flight, time, move |n| {
                let desk = desk.clone();
                async move {
                    let held = desk.hold(n.to_string(), Duration::from_hours(1)).await;
                    assert!(held.expect("an answer").is_some(), "a place is free");
                }
            })
            .await,
        );
    }
    let granted = desk.places().await.map_err(|error| error.to_string())?;
    assert_eq!(granted.held, granted.last.number(), "every ticket is a place");
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (alone, together) = (median(&mut alone), median(&mut together));
    let report = json!({
        "in_flight": in_flight,
        "one_lock_a_transaction_per_second": alone.round(),
        "desk_per_second": together.round(),
        "times": (together / alone * 10.0).round() / 10.0,
    });
    println!("{report}");
    Ok(())
}

/// A registration as most services write it: the race's row is locked until the transaction has been synced.
async fn lock_alone(pool: PgPool, n: u64) {
    let mut transaction = pool.begin().await.expect("a transaction");
    sqlx::query("INSERT INTO registration VALUES (1, $1) ON CONFLICT DO NOTHING")
        .bind(i64::try_from(n).unwrap_or(0))
        .execute(&mut *transaction)
        .await
        .expect("a registration");
    let taken = sqlx::query("UPDATE race SET used = used + 1 WHERE id = 1 AND used < places")
        .execute(&mut *transaction)
        .await
        .expect("a place");
    assert_eq!(taken.rows_affected(), 1);
    transaction.commit().await.expect("a commit");
}

/// How many calls a second are answered, so many at a time.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    in_flight: u64,
    time: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (call, done) = (call.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    call(NEXT.fetch_add(1, Relaxed)).await;
                    done.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller");
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let done = done.load(Relaxed) as f64;
    done / begun.elapsed().as_secs_f64()
}
