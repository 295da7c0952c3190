//! Effects that happen once: what was handled is recorded in the transaction of its effect.

mod handler;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod together;

use std::time::Duration;

pub use handler::InboxHandler;
#[cfg(feature = "postgres")]
pub use postgres::PostgresInbox;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteInbox;

use super::Shutdown;
use crate::Result;
use crate::time::Clock;

/// Whether an event has had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an event that was handled already must not be handled again"]
pub enum Arrival {
    /// It has not: do the work in the same transaction.
    First,
    /// It has: there is nothing to do.
    Again,
}

/// For how long handled events are remembered, and how many of them.
#[derive(Clone, Copy, Debug)]
struct Window {
    retention: Duration,
    max: u64,
}

impl Window {
    /// How many rows one clean-up deletes.
    const CHUNK: i64 = 10_000;

    fn max(&self) -> i64 {
        i64::try_from(self.max).unwrap_or(i64::MAX)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { retention: Duration::from_hours(14 * 24), max: 10_000_000 }
    }
}

/// Cleans up every `period` until the shutdown, and goes on at once while there is more to delete.
async fn keep_clean<W: Future<Output = Result<usize>>>(
    clean_up: impl Fn() -> W,
    clock: &dyn Clock,
    period: Duration,
    shutdown: Shutdown,
) {
    loop {
        let pause = match clean_up().await {
            Ok(count) if i64::try_from(count).is_ok_and(|count| count < Window::CHUNK) => period,
            Ok(_) => Duration::from_millis(10),
            Err(error) => {
                tracing::warn!(error = %error, "the inbox could not be cleaned up");
                period
            }
        };
        tokio::select! {
            () = shutdown.triggered() => return,
            () = clock.sleep(pause) => {}
        }
    }
}
