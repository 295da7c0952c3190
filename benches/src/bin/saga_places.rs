//! One hot race, or one stock that everybody wants: registrations per second by a desk that grants together what arrives together,
//! beside one transaction each, by a conditional update and by a row lock that is taken first, as JSON.
//!
//! `cargo run --release -p benches --features saga --bin saga_places -- [IN_FLIGHT] [SECONDS]`, with `PUMASI_POSTGRES_URL`.

use std::time::Duration;

use benches::load::rate;
use pumasi_saga::capacity::{Capacity, PostgresCapacity};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};

/// More than anybody can take in the time.
const PLACES: u64 = 1_000_000_000;

#[tokio::main]
async fn main() -> Result<(), String> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>().map_err(|_| "numbers, please"));
    let in_flight = words.next().transpose()?.unwrap_or(64);
    let time = Duration::from_secs(words.next().transpose()?.unwrap_or(4) as u64);
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

    let (mut updated, mut locked, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..3 {
        // The numbers of each run begin at 0, and each registration is a new one.
        let number = move |way: u64, n: u64| (round * 3 + way) << 40 | n;
        let to = pool.clone();
        updated.push(rate(in_flight, time, move |n| update(to.clone(), number(0, n))).await);
        let to = pool.clone();
        locked.push(rate(in_flight, time, move |n| lock(to.clone(), number(1, n))).await);
        let desk = desk.clone();
        together.push(
            rate(in_flight, time, move |n| {
                let desk = desk.clone();
                async move {
                    let held = desk.hold(number(2, n).to_string(), Duration::from_hours(1)).await;
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
    let [updated, locked, together] = [&mut updated, &mut locked, &mut together].map(median);
    let report = json!({
        "in_flight": in_flight,
        "conditional_update_per_second": updated.round(),
        "row_lock_per_second": locked.round(),
        "desk_per_second": together.round(),
        "times_conditional_update": (together / updated * 10.0).round() / 10.0,
        "times_row_lock": (together / locked * 10.0).round() / 10.0,
    });
    println!("{report}");
    Ok(())
}

/// A registration that takes a place where there is one: the row is locked from then until the transaction has been synced.
async fn update(pool: PgPool, n: u64) {
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

/// A registration that locks the race's row first, looks, and decides.
async fn lock(pool: PgPool, n: u64) {
    let mut transaction = pool.begin().await.expect("a transaction");
    let (used, places): (i64, i64) = sqlx::query_as("SELECT used, places FROM race WHERE id = 1 FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await
        .expect("the race");
    assert!(used < places);
    sqlx::query("INSERT INTO registration VALUES (1, $1) ON CONFLICT DO NOTHING")
        .bind(n.cast_signed())
        .execute(&mut *transaction)
        .await
        .expect("a registration");
    sqlx::query("UPDATE race SET used = used + 1 WHERE id = 1")
        .execute(&mut *transaction)
        .await
        .expect("a place");
    transaction.commit().await.expect("a commit");
}
