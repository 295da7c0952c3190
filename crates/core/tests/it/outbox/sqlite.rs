//! A SQLite file of a test's own.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub(super) async fn pool(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(20));
    // Switching a new file to the write-ahead log does not wait for others.
    for _ in 0..50 {
        match SqlitePoolOptions::new().max_connections(4).connect_with(options.clone()).await {
            Ok(pool) => return pool,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    SqlitePoolOptions::new().connect_with(options).await.unwrap()
}
