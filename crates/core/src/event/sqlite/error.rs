//! What SQLite's codes mean to a caller.

use std::path::Path;

use crate::database::{ROOM, classify, is_locked};
use crate::error::JsonFault;
use crate::{Error, ErrorKind, Retry};

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
    /// Tells whether another process was in the way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Engine(error) if is_locked(error))
    }

    /// Picks the public kind and retry class.
    pub(super) fn during(self, what: &str, path: &Path) -> Error {
        let path = path.display();
        let (kind, retry, said) = match &self {
            Self::Engine(sqlx::Error::Io(_)) => {
                (ErrorKind::Storage, Retry::After(ROOM), "reading or writing failed")
            }
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
