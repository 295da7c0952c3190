//! What SQLite's codes mean to a caller.

use std::path::Path;
use std::time::Duration;

use crate::error::JsonFault;
use crate::{Error, ErrorKind, Retry};

/// How long a caller should wait for a disk to have room again.
const ROOM: Duration = Duration::from_secs(1);

/// A failure of the store: what was done, and what the engine said.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Engine(#[from] sqlx::Error),
    #[error("the store's layout is version {0}, which is newer than this program")]
    TooNew(i64),
    #[error("the store has reached its allowed size")]
    Full,
    #[error("a stored event cannot be read")]
    Unreadable(#[source] JsonFault),
}

impl Failure {
    /// Picks the public kind and retry class.
    pub(super) fn during(self, what: &str, path: &Path) -> Error {
        let path = path.display();
        let (kind, retry, said) = match &self {
            Self::Engine(error) => classify(error),
            Self::TooNew(_) => {
                (ErrorKind::Unsupported, Retry::Never, "its layout is newer than this program")
            }
            Self::Full => (ErrorKind::Storage, Retry::After(ROOM), "the disk or the allowed size is full"),
            Self::Unreadable(_) => (ErrorKind::Storage, Retry::Never, "a stored event cannot be read"),
        };
        Error::new(kind, format!("{what} in the event store {path} failed: {said}"))
            .with_retry(retry)
            .with_source(self)
    }
}

fn classify(error: &sqlx::Error) -> (ErrorKind, Retry, &'static str) {
    let code = match error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
        sqlx::Error::Io(_) => return (ErrorKind::Storage, Retry::After(ROOM), "reading or writing failed"),
        sqlx::Error::WorkerCrashed => return (ErrorKind::Unavailable, Retry::Now, "its thread has ended"),
        _ => None,
    };
    // The low byte is the primary result code: https://www.sqlite.org/rescode.html
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => (ErrorKind::Unavailable, Retry::Now, "another process holds it for too long"),
        Some(7) => (ErrorKind::Storage, Retry::After(ROOM), "there is no memory left"),
        Some(8) => (ErrorKind::Storage, Retry::Never, "the file is read-only"),
        Some(10) => (ErrorKind::Storage, Retry::After(ROOM), "reading or writing the disk failed"),
        Some(11) => (ErrorKind::Storage, Retry::Never, "the file is damaged"),
        Some(13) => (ErrorKind::Storage, Retry::After(ROOM), "the disk or the allowed size is full"),
        Some(14) => (ErrorKind::Storage, Retry::Never, "the file cannot be opened"),
        Some(26) => (ErrorKind::Storage, Retry::Never, "the file is not a SQLite database, or is damaged"),
        _ => (ErrorKind::Storage, Retry::Never, "the engine reported an error"),
    }
}
