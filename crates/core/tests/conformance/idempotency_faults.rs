//! Requests that are carried out by processes which are killed again and again.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::ErrorKind;
use pumasi_core::idempotency::{
    Execution, Fingerprint, Idempotency, IdempotencyKey, IdempotentRequest, Reply, Response,
    SqliteIdempotency,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};
use tokio::runtime::Runtime;

struct Worker(Child);

impl Worker {
    fn start(folder: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "idempotency_faults::works_as_a_child", "--ignored"])
            .env("PUMASI_IDEMPOTENCY_FOLDER", folder)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn open(folder: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("effects.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20));
    SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
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

/// Not a test: what [`Worker::start`] starts.
#[test]
#[ignore = "started by the fault test with a folder"]
fn works_as_a_child() {
    if let Ok(folder) = std::env::var("PUMASI_IDEMPOTENCY_FOLDER") {
        Runtime::new().unwrap().block_on(work(Path::new(&folder)));
    }
}

#[test]
fn every_effect_happens_once_while_its_processes_are_killed_again_and_again() {
    let kills =
        std::env::var("PUMASI_FAULT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20_u32);
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let pool = runtime.block_on(async {
        let pool = open(folder.path()).await;
        SqliteIdempotency::new(pool.clone()).migrate().await.unwrap();
        sqlx::query("CREATE TABLE effect (n INTEGER)").execute(&pool).await.unwrap();
        pool
    });
    let mut workers = [Worker::start(folder.path()), Worker::start(folder.path())];
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(fastrand::u64(50..700)));
        let victim = &mut workers[kill as usize % 2];
        assert!(victim.0.try_wait().unwrap().is_none(), "a worker ended by itself");
        *victim = Worker::start(folder.path());
    }
    drop(workers);
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
