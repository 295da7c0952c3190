//! Schedulers on several nodes over virtual time, and batches that are stopped, fail and are killed.

mod batches;
mod faults;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::database::open_sqlite;
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
    open_sqlite(SqlitePoolOptions::new().max_connections(4), options).await.unwrap()
}

fn clock() -> (ManualClock, Arc<ManualClock>) {
    let clock = ManualClock::new();
    (clock.clone(), Arc::new(clock))
}
