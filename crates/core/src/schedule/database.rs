//! What a database's codes mean to a caller.

use std::fmt;

#[cfg(feature = "postgres")]
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Retry};

/// What a database said, without what people wrote: its messages and details quote values.
#[derive(Debug)]
struct Fault {
    code: Option<String>,
    table: Option<String>,
    constraint: Option<String>,
    what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        for (name, value) in [("code", &self.code), ("table", &self.table), ("constraint", &self.constraint)]
        {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

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
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert!(error.retry().is_retryable());
/// assert_eq!(error.to_string(), "writing the payments failed: no connection was free in time");
/// ```
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
pub fn database_error(doing: &str, error: sqlx::Error) -> Error {
    let (kind, retry, what) = classify(&error);
    let found = error.as_database_error();
    let fault = Fault {
        code: found.and_then(sqlx::error::DatabaseError::code).map(Into::into),
        table: found.and_then(|error| error.table()).map(Into::into),
        constraint: found.and_then(|error| error.constraint()).map(Into::into),
        what,
    };
    Error::new(kind, format!("{doing} failed: {what}")).with_retry(retry).with_source(fault)
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

fn classify(error: &sqlx::Error) -> (ErrorKind, Retry, &'static str) {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            #[cfg(feature = "sqlite")]
            if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                return sqlite(code.parse().unwrap_or(0));
            }
            postgres(&code)
        }
        sqlx::Error::PoolTimedOut => (ErrorKind::Unavailable, Retry::Now, "no connection was free in time"),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            (ErrorKind::Unavailable, Retry::Now, "the connection broke")
        }
        sqlx::Error::PoolClosed => (ErrorKind::Unavailable, Retry::Never, "the pool is closed"),
        sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, Retry::Now, "the database's thread has ended"),
        sqlx::Error::RowNotFound => (ErrorKind::NotFound, Retry::Never, "there is no such row"),
        _ => (ErrorKind::Storage, Retry::Never, "the database answered what was not expected"),
    }
}

/// <https://www.sqlite.org/rescode.html>: the low byte is the primary result code.
#[cfg(feature = "sqlite")]
fn sqlite(code: u32) -> (ErrorKind, Retry, &'static str) {
    match code & 0xff {
        5 | 6 => (ErrorKind::Unavailable, Retry::Now, "another process holds the file for too long"),
        7 | 10 | 13 => (ErrorKind::Storage, Retry::Now, "the disk or the memory is full, or failed"),
        19 => (ErrorKind::Conflict, Retry::Never, "a constraint was violated"),
        _ => (ErrorKind::Storage, Retry::Never, "the engine reported an error"),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres(code: &str) -> (ErrorKind, Retry, &'static str) {
    match code {
        "40001" | "40P01" | "55P03" => {
            (ErrorKind::Unavailable, Retry::Now, "it collided with another transaction")
        }
        "57014" => (ErrorKind::Timeout, Retry::Now, "the statement was cancelled"),
        "42501" => (ErrorKind::Unauthorized, Retry::Never, "a permission is missing"),
        _ => match code.get(..2) {
            Some("08" | "57") => (ErrorKind::Unavailable, Retry::Now, "the server went away"),
            Some("53") => (ErrorKind::Unavailable, Retry::Now, "the server is short of resources"),
            Some("23") => (ErrorKind::Conflict, Retry::Never, "a constraint was violated"),
            Some("28") => (ErrorKind::Unauthorized, Retry::Never, "the server refused the login"),
            _ => (ErrorKind::Storage, Retry::Never, "the server reported an error"),
        },
    }
}
