//! Schedulers on several nodes over virtual time, and batches that are stopped, fail and are killed.

mod batches;
mod faults;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::ManualClock;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

async fn sqlite(folder: &std::path::Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("service.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(20));
    let mut tries = 0;
    loop {
        match SqlitePoolOptions::new().max_connections(4).connect_with(options.clone()).await {
            Ok(pool) => return pool,
            // SQLite waits for no lock where it turns to a log of writes that a killed process has left.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("5") && tries < 100 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn clock() -> (ManualClock, Arc<ManualClock>) {
    let clock = ManualClock::new();
    (clock.clone(), Arc::new(clock))
}
