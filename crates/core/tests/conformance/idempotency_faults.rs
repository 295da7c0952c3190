//! Requests that are carried out by processes which are killed again and again.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::database::open_sqlite;
use pumasi_core::idempotency::{
    Execution, Fingerprint, Idempotency, IdempotencyKey, IdempotentRequest, Reply, Response,
    SqliteIdempotency,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};
use tokio::runtime::Runtime;

async fn open(folder: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("effects.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20));
    open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap()
}

/// Makes requests 0, 1, 2, … each until it is answered, as clients do that go on after a crash.
async fn work(folder: &Path) {
    let pool = open(folder).await;
    let store = SqliteIdempotency::new(pool.clone());
    // short, so that what a killed process had begun is taken over within the test
    let idempotency = Idempotency::new(store.clone()).with_lease(Duration::from_millis(200));
    for number in 0_i64.. {
        let key = IdempotencyKey::new(&number.to_string()).unwrap();
        let request =
            IdempotentRequest::new("user-7", &key, Fingerprint::of(&[b"POST", &number.to_be_bytes()]));
        loop {
            let (pool, store) = (pool.clone(), store.clone());
            let handler = move |execution: Arc<Execution>| async move {
                effect(&pool, &store, &execution, number).await
            };
            match idempotency.run(&request, handler).await {
                Ok(answer) => break assert_eq!(answer.response.body(), number.to_string().as_bytes()),
                Err(error) if error.kind() == ErrorKind::Conflict || error.retry().is_retryable() => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

async fn effect(
    pool: &SqlitePool,
    store: &SqliteIdempotency,
    execution: &Execution,
    number: i64,
) -> pumasi_core::Result<Reply> {
    let failed = |_| pumasi_core::Error::new(ErrorKind::Unavailable, "the effect failed");
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query("INSERT INTO effect VALUES (?1)")
        .bind(number)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let response = Response::new(201, number.to_string());
    store.complete_in(&mut transaction, execution, &response).await?;
    // killed here, there is neither
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
    transaction.commit().await.map_err(failed)?;
    Ok(Reply::Stored(response))
}

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the fault test with a part"]
fn works_as_a_child() {
    if let Some(part) = Part::given() {
        Runtime::new().unwrap().block_on(work(&part.folder));
    }
}

#[test]
fn every_effect_happens_once_while_its_processes_are_killed_again_and_again() {
    let kills = kills(20);
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let pool = runtime.block_on(async {
        let pool = open(folder.path()).await;
        SqliteIdempotency::new(pool.clone()).migrate().await.unwrap();
        sqlx::query("CREATE TABLE effect (n INTEGER)").execute(&pool).await.unwrap();
        pool
    });
    let mut crew = Crew::new("idempotency_faults::works_as_a_child", folder.path());
    for worker in ["worker-0", "worker-1"] {
        crew.start(worker).unwrap();
    }
    crew.kill_at_random(kills, Duration::from_millis(50)..Duration::from_millis(700)).unwrap();
    // A busy machine starts them slowly; they go on until enough has happened to tell anything.
    let done =
        async || -> i64 { sqlx::query("SELECT count(*) FROM effect").fetch_one(&pool).await.unwrap().get(0) };
    let begun = Instant::now();
    while runtime.block_on(done()) <= i64::from(kills) && begun.elapsed() < Duration::from_mins(1) {
        crew.check().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    crew.kill_all().unwrap();
    let (effects, distinct, greatest, answers) = runtime.block_on(async {
        let row = sqlx::query(
            "SELECT count(*), count(DISTINCT n), max(n), \
             (SELECT count(*) FROM pumasi_idempotency WHERE response IS NOT NULL) FROM effect",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2), row.get::<i64, _>(3))
    });
    assert_eq!(effects, distinct, "an effect happened twice");
    assert_eq!(effects, greatest + 1, "an effect is missing");
    assert_eq!(effects, answers, "an effect without its answer, or the other way round");
    assert!(effects > i64::from(kills), "too little happened to tell anything: {effects}");
    eprintln!(
        "sqlite idempotency: {kills} processes killed, {effects} effects, each once, each with its answer"
    );
}
