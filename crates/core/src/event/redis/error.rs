//! What Redis's errors mean to a caller.

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind as RedisKind, RedisError, ServerErrorKind};

use crate::redis_link::Unanswered;
use crate::{Error, ErrorKind, Retry};

/// How long a caller should wait for a server that loads, fails over or is full.
const RECOVERY: Duration = Duration::from_secs(1);

/// A failure of a call: what the server or the connection said.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Server(Said),
    #[error("the answer has another form than this program expects")]
    Answer,
    #[error("the layout is version {0}, which is newer than this program")]
    TooNew(i64),
    #[error("the layout is version {0}, which this program does not read any more")]
    Outdated(i64),
    #[error("the server is version {0}, and scripts with flags need 7.0")]
    TooOld(String),
    #[error("the script was not there, and is now")]
    Unloaded,
    #[error("{got} of {wanted} replicas confirmed in time")]
    Replicas { wanted: usize, got: usize },
}

/// What can be shown of an error: the server's detail only where it cannot quote an argument, which may be an event.
#[derive(Debug)]
pub(super) struct Said {
    kind: RedisKind,
    code: Option<String>,
    detail: Option<String>,
    timeout: bool,
    connection: bool,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.detail) {
            (Some(code), Some(detail)) => write!(f, "{code} {detail}"),
            (Some(code), None) => f.write_str(code),
            (None, Some(detail)) => f.write_str(detail),
            (None, None) => write!(f, "{:?}", self.kind),
        }
    }
}

impl std::error::Error for Said {}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        let server = matches!(error.kind(), RedisKind::Server(_) | RedisKind::Extension);
        let detail = match error.kind() {
            RedisKind::Io => Some(error.to_string()),
            _ if server => error.detail().map(str::to_owned),
            _ => None,
        };
        Self::Server(Said {
            kind: error.kind(),
            code: error.code().map(str::to_owned),
            detail: detail.filter(|detail| !detail.contains("args beginning")),
            timeout: error.is_timeout(),
            connection: error.is_connection_dropped() || error.is_connection_refusal(),
        })
    }
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Failed(error) => error.into(),
            Unanswered::Late => Self::Server(Said {
                kind: RedisKind::Io,
                code: None,
                detail: Some("the call did not end in time".to_owned()),
                timeout: true,
                connection: false,
            }),
        }
    }
}

impl Failure {
    /// Whether the same call may succeed on a connection that is made anew.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Server(said) => {
                said.timeout
                    || said.connection
                    || matches!(
                        said.kind,
                        RedisKind::Io
                            | RedisKind::Server(
                                ServerErrorKind::BusyLoading
                                    | ServerErrorKind::MasterDown
                                    | ServerErrorKind::ReadOnly
                                    | ServerErrorKind::TryAgain
                                    | ServerErrorKind::ClusterDown
                            )
                    )
            }
            _ => false,
        }
    }

    /// Whether the server may have done what was asked.
    pub(super) fn is_uncertain(&self) -> bool {
        match self {
            Self::Answer | Self::Replicas { .. } => true,
            Self::Server(said) => said.timeout || matches!(said.kind, RedisKind::Io | RedisKind::Parse),
            _ => false,
        }
    }

    /// Picks the public kind and retry class.
    pub(super) fn during(self, what: &str, address: &str) -> Error {
        let (kind, retry, said) = match &self {
            Self::Server(said) => classify(said),
            Self::Answer => (ErrorKind::Protocol, Retry::Never, "its answer cannot be read"),
            Self::TooNew(_) => {
                (ErrorKind::Unsupported, Retry::Never, "its layout is newer than this program")
            }
            Self::Outdated(_) => {
                let said = "its layout is older than this program, which needs another prefix";
                (ErrorKind::Unsupported, Retry::Never, said)
            }
            Self::TooOld(_) => (ErrorKind::Unsupported, Retry::Never, "it is older than Redis 7.0"),
            Self::Unloaded => (ErrorKind::Unavailable, Retry::Now, "it forgets scripts at once"),
            Self::Replicas { .. } => {
                (ErrorKind::Unavailable, Retry::Now, "too few replicas confirmed in time")
            }
        };
        Error::new(kind, format!("{what} on Redis at {address} failed: {said}"))
            .with_retry(retry)
            .with_source(self)
    }
}

fn classify(said: &Said) -> (ErrorKind, Retry, &'static str) {
    if said.timeout {
        return (ErrorKind::Timeout, Retry::Now, "it did not answer in time");
    }
    let server = match said.kind {
        RedisKind::Io => return (ErrorKind::Unavailable, Retry::Now, "it cannot be reached"),
        RedisKind::AuthenticationFailed => {
            return (ErrorKind::Unauthorized, Retry::Never, "it does not accept the name and password");
        }
        RedisKind::Parse | RedisKind::UnexpectedReturnType => {
            return (ErrorKind::Protocol, Retry::Never, "its answer cannot be read");
        }
        RedisKind::InvalidClientConfig => {
            return (ErrorKind::InvalidInput, Retry::Never, "the address is not one that can be used");
        }
        RedisKind::Server(server) => Some(server),
        _ => None,
    };
    match (server, said.code.as_deref().unwrap_or_default()) {
        (Some(ServerErrorKind::BusyLoading), _) => {
            (ErrorKind::Unavailable, Retry::After(RECOVERY), "it is loading its data")
        }
        (Some(ServerErrorKind::ReadOnly), _) => {
            (ErrorKind::Unavailable, Retry::After(RECOVERY), "it is a replica")
        }
        (Some(ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain), _)
        | (_, "NOREPLICAS" | "BUSY" | "UNBLOCKED" | "NOMASTERLINK") => {
            (ErrorKind::Unavailable, Retry::After(RECOVERY), "it cannot serve now")
        }
        (Some(ServerErrorKind::NoPerm), _) | (_, "NOAUTH" | "WRONGPASS" | "DENIED") => {
            (ErrorKind::Unauthorized, Retry::Never, "it does not allow this")
        }
        (Some(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot), _) => {
            (ErrorKind::Unsupported, Retry::Never, "it is a node of a cluster that has other slots")
        }
        (_, "OOM") => (ErrorKind::Storage, Retry::After(RECOVERY), "its memory is full"),
        (_, "MISCONF") => (ErrorKind::Storage, Retry::After(RECOVERY), "it cannot write to its disk"),
        (_, "WRONGTYPE") => (ErrorKind::Storage, Retry::Never, "a key of the bus holds something else"),
        _ => (ErrorKind::Storage, Retry::Never, "it reported an error"),
    }
}
