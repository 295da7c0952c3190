//! What the database stores of schedules and batches share.

use crate::Error;
#[cfg(feature = "postgres")]
use crate::time::Timestamp;

/// Makes this crate's error of a database's: `doing` is what was tried. The kind and the retry class follow the database's
/// code; of its message, which quotes values, nothing is kept but the code and the names of table and constraint.
///
/// Serialisation failures, deadlocks, lost connections and servers that start or are full may be retried; a violated
/// constraint is `Conflict`.
///
/// ```
/// use pumasi_core::ErrorKind;
/// use pumasi_core::schedule::database_error;
///
/// let error = database_error("writing the payments", sqlx::Error::PoolTimedOut);
/// assert_eq!(error.kind(), ErrorKind::Overloaded);
/// assert!(error.retry().is_retryable());
/// assert_eq!(error.to_string(), "writing the payments failed: no connection came free in time");
/// ```
pub fn database_error(doing: &str, error: sqlx::Error) -> Error {
    crate::database::failed(doing, error)
}

/// Integers of the databases have a sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The time by PostgreSQL's own clock: not `now()`, which is when the transaction began.
#[cfg(feature = "postgres")]
pub(super) async fn server_clock(connection: &mut sqlx::PgConnection) -> sqlx::Result<Timestamp> {
    sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .fetch_one(connection)
        .await
        .map(Timestamp::from_micros)
}
