//! What the databases under the stores have in common: what their failures mean, and how their tables come to be.

mod migration;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use migration::Migration;
#[cfg(feature = "postgres")]
pub use postgres::begin_postgres;
#[cfg(feature = "sqlite")]
pub use sqlite::{Writing, open_sqlite};
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{is_locked, unless_locked};

use crate::{Error, ErrorKind, Retry};

/// How long a caller should wait for a disk to have room again.
pub(crate) const ROOM: Duration = Duration::from_secs(1);

/// Picks the public kind, the retry class and the words for a failure of a database.
pub(crate) fn classify(error: &sqlx::Error) -> (ErrorKind, Retry, &'static str) {
    match error {
        sqlx::Error::Database(error) => classify_code(error.as_ref()),
        sqlx::Error::Io(_) => (ErrorKind::Unavailable, Retry::Now, "the connection broke"),
        sqlx::Error::Tls(_) => {
            (ErrorKind::Unavailable, Retry::Now, "no encrypted connection could be established")
        }
        sqlx::Error::PoolTimedOut => (ErrorKind::Overloaded, Retry::Now, "no connection came free in time"),
        sqlx::Error::PoolClosed => (ErrorKind::Unavailable, Retry::Never, "the pool has been closed"),
        sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, Retry::Now, "its thread has ended"),
        sqlx::Error::RowNotFound => (ErrorKind::NotFound, Retry::Never, "there is no such row"),
        sqlx::Error::Configuration(_) => {
            (ErrorKind::InvalidInput, Retry::Never, "the connection's settings are not valid")
        }
        sqlx::Error::Protocol(_) => {
            (ErrorKind::Protocol, Retry::Never, "the server answered what its protocol does not allow")
        }
        _ => (ErrorKind::Storage, Retry::Never, "the engine reported an error"),
    }
}

fn classify_code(error: &dyn sqlx::error::DatabaseError) -> (ErrorKind, Retry, &'static str) {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return postgres(error.code());
    }
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    sqlite(code)
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[cfg(feature = "postgres")]
fn postgres(code: &str) -> (ErrorKind, Retry, &'static str) {
    match code {
        "40001" | "40P01" | "55P03" => {
            (ErrorKind::Conflict, Retry::Now, "it collided with another transaction, and may be repeated")
        }
        "57014" => (ErrorKind::Timeout, Retry::Now, "it took longer than the server allows"),
        "53100" => (ErrorKind::Storage, Retry::After(ROOM), "the server's disk is full"),
        "53300" => (ErrorKind::Overloaded, Retry::After(ROOM), "the server has no connection left"),
        "23505" => (ErrorKind::Conflict, Retry::Never, "such a row is there already"),
        "42P01" | "3F000" => {
            (ErrorKind::Storage, Retry::Never, "a table is missing: has `migrate` been called?")
        }
        "42501" => (ErrorKind::Unauthorized, Retry::Never, "the user may not do this"),
        _ => match code.get(..2) {
            Some("08" | "57" | "53" | "25") => {
                (ErrorKind::Unavailable, Retry::Now, "the server or the connection ended")
            }
            Some("28") => (ErrorKind::Unauthorized, Retry::Never, "the server turned the user away"),
            Some("22" | "23") => (ErrorKind::InvalidInput, Retry::Never, "the server refused a value"),
            _ => (ErrorKind::Storage, Retry::Never, "the server reported an error"),
        },
    }
}

/// By the low byte, which is the primary result code: <https://www.sqlite.org/rescode.html>.
fn sqlite(code: Option<u32>) -> (ErrorKind, Retry, &'static str) {
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => (ErrorKind::Unavailable, Retry::Now, "another process holds it for too long"),
        Some(7) => (ErrorKind::Storage, Retry::After(ROOM), "there is no memory left"),
        Some(8) => (ErrorKind::Storage, Retry::Never, "the file is read-only"),
        Some(10) => (ErrorKind::Storage, Retry::After(ROOM), "reading or writing the disk failed"),
        Some(11) => (ErrorKind::Storage, Retry::Never, "the file is damaged"),
        Some(13) => (ErrorKind::Storage, Retry::After(ROOM), "the disk or the allowed size is full"),
        Some(14) => (ErrorKind::Storage, Retry::Never, "the file cannot be opened"),
        Some(19) => (ErrorKind::Conflict, Retry::Never, "a constraint of the table forbids it"),
        Some(26) => (ErrorKind::Storage, Retry::Never, "the file is not a SQLite database, or is damaged"),
        _ => (ErrorKind::Storage, Retry::Never, "the engine reported an error"),
    }
}

/// Makes the public error of a call to a database: `what` was tried ("publishing in the outbox").
pub fn failed(what: &str, error: sqlx::Error) -> Error {
    let (kind, retry, said) = classify(&error);
    let failure = Error::new(kind, format!("{what} failed: {said}")).with_retry(retry);
    match Fault::of(&error) {
        Some(fault) => failure.with_source(fault),
        None => failure.with_source(error),
    }
}

/// Lets `?` be used on queries of your own inside handlers of this crate; the message and the source name code, table and
/// constraint, and never the values, which a server's own message quotes.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        failed("a query", error)
    }
}

/// What a server said, without its words: they quote the offending values.
#[derive(Debug)]
struct Fault {
    code: Option<String>,
    table: Option<String>,
    constraint: Option<String>,
}

impl Fault {
    fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Database(error) => Some(Self {
                code: error.code().map(Cow::into_owned),
                table: error.table().map(str::to_owned),
                constraint: error.constraint().map(str::to_owned),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}", self.code.as_deref().unwrap_or("unknown"))?;
        if let Some(table) = &self.table {
            write!(f, ", table {table}")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (code, kind, passes) in [
            ("40P01", ErrorKind::Conflict, true),
            ("57P01", ErrorKind::Unavailable, true),
            ("08006", ErrorKind::Unavailable, true),
            ("53300", ErrorKind::Overloaded, true),
            ("23505", ErrorKind::Conflict, false),
            ("22P02", ErrorKind::InvalidInput, false),
            ("42P01", ErrorKind::Storage, false),
            ("28P01", ErrorKind::Unauthorized, false),
            ("XX000", ErrorKind::Storage, false),
            ("", ErrorKind::Storage, false),
        ] {
            let (found, retry, _) = postgres(code);
            assert_eq!((found, retry.is_retryable()), (kind, passes), "{code}");
        }
    }
}
