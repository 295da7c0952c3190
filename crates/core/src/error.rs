//! The one error type of this crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Usage;

/// The result of this crate's fallible operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;
type SharedSource = Arc<dyn StdError + Send + Sync + 'static>;

/// Says whether, and when, the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The same call will fail again: the input, the permission or the state must change first.
    Never,
    /// The same call may be made again at once (with the caller's own backoff).
    Now,
    /// The same call may be made again, but not before this much time has passed.
    After(Duration),
}

impl Retry {
    /// Tells whether the call may be made again at all.
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Never)
    }
}

impl fmt::Display for Retry {
    /// Writes `never`, `now` or `after 20s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Now => f.write_str("now"),
            Self::After(delay) => write!(f, "after {delay:?}"),
        }
    }
}

/// What went wrong, for code that decides on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, a configuration or a document breaks the callee's rules.
    InvalidInput,
    /// What was asked for does not exist.
    NotFound,
    /// The state has moved on: a version, a lease or a uniqueness rule was violated.
    Conflict,
    /// The caller is not known or not allowed.
    Unauthorized,
    /// The time allowed ran out; whether the call had an effect is not known.
    Timeout,
    /// The callee asks to be called less often.
    RateLimited,
    /// The callee could not be reached, or said that it cannot serve now.
    Unavailable,
    /// A local limit (concurrency, queue, budget of retries) turned the call away before it was made.
    Overloaded,
    /// A circuit breaker is open: the call was not made.
    CircuitOpen,
    /// The caller gave the call up.
    Cancelled,
    /// The messages do not fit the model's context window.
    ContextTooLong,
    /// The model, or a filter before it, declined to answer.
    Refused,
    /// A limit of tokens, money or time is used up.
    BudgetExhausted,
    /// The callee answered something that its protocol does not allow, or the answer broke off.
    Protocol,
    /// The backend cannot do what was asked.
    Unsupported,
    /// A store, a file or a disk failed.
    Storage,
    /// Something else; never retried by itself.
    Other,
}

impl ErrorKind {
    /// Names the kind in `snake_case`, as metrics and JSON carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::Cancelled => "cancelled",
            Self::ContextTooLong => "context_too_long",
            Self::Refused => "refused",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
            Self::Storage => "storage",
            Self::Other => "other",
        }
    }

    const fn default_retry(self) -> Retry {
        match self {
            Self::Timeout | Self::RateLimited | Self::Unavailable | Self::Overloaded | Self::CircuitOpen => {
                Retry::Now
            }
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of this crate: a [kind](ErrorKind), a [retry class](Retry), what was tried, and perhaps a source.
///
/// It can be cloned, because callers who waited for one call together fail together. Its messages name operations, endpoints and identifiers; never a key, a prompt or a person's text.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::RateLimited, "chat completion at api.example.com was turned away")
///     .with_retry(Retry::After(Duration::from_secs(2)));
/// assert_eq!(error.kind(), ErrorKind::RateLimited);
/// assert!(error.retry().is_retryable());
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    message: Cow<'static, str>,
    source: Option<SharedSource>,
    usage: Option<Usage>,
}

impl Error {
    /// Makes an error of `kind` that says `message`; its retry class is the kind's usual one.
    ///
    /// Timeouts, rate limits, unavailable or overloaded callees and open circuits may be retried; nothing else.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                retry: kind.default_retry(),
                message: message.into(),
                source: None,
                usage: None,
            }),
        }
    }

    /// Sets the retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.inner.retry = retry;
        self
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(Arc::from(source.into()));
        self
    }

    /// Sets the tokens that were used, and will be paid for, before the call failed.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.inner.usage = Some(usage);
        self
    }

    /// Sets the tokens that were used, where that is known.
    #[must_use]
    pub(crate) fn with_known_usage(self, usage: Option<Usage>) -> Self {
        match usage {
            Some(usage) => self.with_usage(usage),
            None => self,
        }
    }

    /// Says in the message how often the call was tried, if more than once.
    #[cfg(feature = "openai")]
    pub(crate) fn after_tries(mut self, tries: u32) -> Self {
        if tries > 1 {
            self.inner.message = format!("{} ({tries} tries)", self.inner.message).into();
        }
        self
    }

    /// Tells what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Tells whether, and when, the same call may be made again.
    pub fn retry(&self) -> Retry {
        self.inner.retry
    }

    /// Returns the tokens that a failed model call used nevertheless, where the server reported them.
    pub fn usage(&self) -> Option<Usage> {
        self.inner.usage
    }

    /// Returns what was tried, without the source.
    pub fn message(&self) -> &str {
        &self.inner.message
    }
}

/// What is wrong with some JSON, and where; never what it says, which `serde_json`'s own error quotes.
#[cfg(feature = "runtime")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonFault {
    category: serde_json::error::Category,
    line: usize,
    column: usize,
}

#[cfg(feature = "runtime")]
impl From<&serde_json::Error> for JsonFault {
    fn from(error: &serde_json::Error) -> Self {
        Self { category: error.classify(), line: error.line(), column: error.column() }
    }
}

#[cfg(feature = "runtime")]
impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.category {
            serde_json::error::Category::Io => "the JSON could not be read",
            serde_json::error::Category::Syntax => "this is no JSON",
            serde_json::error::Category::Data => "the JSON has another shape",
            serde_json::error::Category::Eof => "the JSON breaks off",
        };
        write!(f, "{what} at line {} column {}", self.line, self.column)
    }
}

#[cfg(feature = "runtime")]
impl StdError for JsonFault {}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("retry", &self.inner.retry)
            .field("message", &self.inner.message)
            .field("usage", &self.inner.usage)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
