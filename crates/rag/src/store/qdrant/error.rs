//! What went wrong at the server, by kind.

use std::fmt;
use std::time::Duration;

use qdrant_client::QdrantError;

use crate::{Error, ErrorKind, Retry};

/// Makes the public error of a call: `what` was tried ("searching the knowledge").
pub(super) fn failed(what: &str, error: &QdrantError) -> Error {
    match error {
        QdrantError::ResponseError { status } => {
            answered(what, &format!("{:?}", status.code()), status.message())
        }
        QdrantError::ResourceExhaustedError { status, retry_after_seconds } => {
            let after = Duration::from_secs(*retry_after_seconds);
            answered(what, &format!("{:?}", status.code()), status.message()).with_retry(Retry::After(after))
        }
        QdrantError::InvalidUri(_) => {
            Error::new(ErrorKind::InvalidInput, format!("{what} failed: the server's URL cannot be read"))
        }
        QdrantError::Io(error) => {
            let message = format!("{what} failed: the server cannot be reached");
            Error::new(ErrorKind::Unavailable, message).with_source(Said(error.kind().to_string()))
        }
        _ => Error::new(ErrorKind::Protocol, format!("{what} failed: the server's answer cannot be read")),
    }
}

/// The error of an answer, by gRPC's name of its code.
fn answered(what: &str, code: &str, said: &str) -> Error {
    let (kind, why) = match code {
        "DeadlineExceeded" => (ErrorKind::Timeout, "the server took too long"),
        // so the client itself calls what takes longer than it may
        "Cancelled" if said.contains("Timeout expired") => (ErrorKind::Timeout, "the server took too long"),
        // and so that no connection could be made
        "Internal" if said.starts_with("Failed to connect") => {
            (ErrorKind::Unavailable, "the server cannot be reached")
        }
        "Unavailable" | "Cancelled" | "Unknown" => (ErrorKind::Unavailable, "the server cannot be reached"),
        "Unauthenticated" | "PermissionDenied" => {
            (ErrorKind::Unauthorized, "the server does not admit it with this key")
        }
        "ResourceExhausted" => (ErrorKind::RateLimited, "the server limits how much is asked of it"),
        "InvalidArgument" | "OutOfRange" | "FailedPrecondition" => {
            (ErrorKind::InvalidInput, "the server refuses it")
        }
        "NotFound" => (ErrorKind::NotFound, "the collection is not there"),
        "AlreadyExists" | "Aborted" => (ErrorKind::Conflict, "something else was faster"),
        "Unimplemented" => (ErrorKind::Unsupported, "the server does not know how"),
        _ => (ErrorKind::Storage, "the server reported an error"),
    };
    Error::new(kind, format!("{what} failed: {why}")).with_source(Said(code.to_owned()))
}

/// The server's code, without its words: they may quote what was sent.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}", self.0)
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_kinds_and_none_of_the_servers_words() {
        for (code, said, kind, passes) in [
            ("Unavailable", "무릎", ErrorKind::Unavailable, true),
            ("Internal", "Failed to connect to http://무릎", ErrorKind::Unavailable, true),
            ("Internal", "Service internal error: 무릎", ErrorKind::Storage, false),
            ("Cancelled", "Timeout expired: 무릎", ErrorKind::Timeout, true),
            ("DeadlineExceeded", "무릎", ErrorKind::Timeout, true),
            ("ResourceExhausted", "무릎", ErrorKind::RateLimited, true),
            ("Unauthenticated", "무릎", ErrorKind::Unauthorized, false),
            ("InvalidArgument", "무릎", ErrorKind::InvalidInput, false),
            ("SomethingNew", "무릎", ErrorKind::Storage, false),
        ] {
            let error = answered("searching", code, said);
            assert_eq!((error.kind(), error.retry().is_retryable()), (kind, passes), "{code}");
            assert!(!format!("{error} {error:?}").contains("무릎"), "{error:?}");
        }
    }
}
