//! Why an extraction failed, and what it had cost by then.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use pumasi_core::model::{Cost, Usage};
use pumasi_core::{ErrorKind as CoreKind, Retry};
use serde::{Deserialize, Serialize};

use super::Attempt;

/// The result of an extraction.
pub type Result<T, E = ExtractError> = std::result::Result<T, E>;

/// What kept an extraction from a value, for code that decides on it.
///
/// | kind | what was tried | retry class |
/// |---|---|---|
/// | [`EmptySource`](Self::EmptySource), [`NotText`](Self::NotText), [`SourceTooLarge`](Self::SourceTooLarge), [`InvalidConfig`](Self::InvalidConfig) | no call was made | never |
/// | [`ContextTooLong`](Self::ContextTooLong) | no call, or one that the server turned away | never |
/// | [`Timeout`](Self::Timeout), [`RateLimited`](Self::RateLimited), [`Unavailable`](Self::Unavailable), [`Overloaded`](Self::Overloaded) | the call, and whatever retries the model does by itself | as the model says: now, or after a delay |
/// | [`Unauthorized`](Self::Unauthorized), [`Unsupported`](Self::Unsupported) | every form of asking that the model offers | never |
/// | [`Protocol`](Self::Protocol) | the call; what came back is not an answer (an error body under status 200) | as the model says |
/// | [`Truncated`](Self::Truncated) | the call; local repair kept nothing of use from the part before the cut, and asking again was cut too | now |
/// | [`Refused`](Self::Refused) | the call; the model or a filter declined | never |
/// | [`Looping`](Self::Looping) | the call; the answer repeats itself without end | now |
/// | [`WrongLanguage`](Self::WrongLanguage), [`OffSchema`](Self::OffSchema), [`Invalid`](Self::Invalid), [`Ungrounded`](Self::Ungrounded), [`Leaked`](Self::Leaked) | local repair, then asking again for the failing parts | now (another sample may be better) or never (the same answer came twice) |
/// | [`BudgetExhausted`](Self::BudgetExhausted) | what the budget allowed | never |
/// | [`Cancelled`](Self::Cancelled) | what was done before the caller gave up | now |
/// | [`Storage`](Self::Storage) | the cache or the journal failed | as the store says |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExtractErrorKind {
    /// The source has nothing but white space.
    EmptySource,
    /// The source's bytes are not UTF-8.
    NotText,
    /// The source is longer than the extractor accepts.
    SourceTooLarge,
    /// The extractor, an example or a schema breaks a rule; found when it is built or before a call.
    InvalidConfig,
    /// The prompt does not fit the model's context window.
    ContextTooLong,
    /// The time allowed for a call ran out.
    Timeout,
    /// The server asks to be called less often.
    RateLimited,
    /// The server could not be reached, said that it cannot serve now, or broke the connection.
    Unavailable,
    /// A limit on this side (concurrency, queue, circuit breaker) turned the call away.
    Overloaded,
    /// The server does not know or allow the caller.
    Unauthorized,
    /// The model can be asked in none of the forms that the extractor knows.
    Unsupported,
    /// What came back is not an answer of the protocol.
    Protocol,
    /// The answer broke off before anything of use.
    Truncated,
    /// The model, or a filter around it, declined to answer.
    Refused,
    /// The answer repeats itself without end.
    Looping,
    /// The answer is written in another language than asked for.
    WrongLanguage,
    /// The answer does not fit the schema.
    OffSchema,
    /// A validator turned the value down.
    Invalid,
    /// A quote does not stand in the source.
    Ungrounded,
    /// A quote was copied from an example of the prompt.
    Leaked,
    /// A limit of tokens, money, calls or time is used up.
    BudgetExhausted,
    /// The caller gave the work up.
    Cancelled,
    /// The cache or the journal failed.
    Storage,
    /// Something else; never retried by itself.
    Other,
}

impl ExtractErrorKind {
    /// Names the kind in `snake_case`, as metrics and journals carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmptySource => "empty_source",
            Self::NotText => "not_text",
            Self::SourceTooLarge => "source_too_large",
            Self::InvalidConfig => "invalid_config",
            Self::ContextTooLong => "context_too_long",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::Unsupported => "unsupported",
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::Refused => "refused",
            Self::Looping => "looping",
            Self::WrongLanguage => "wrong_language",
            Self::OffSchema => "off_schema",
            Self::Invalid => "invalid",
            Self::Ungrounded => "ungrounded",
            Self::Leaked => "leaked",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Cancelled => "cancelled",
            Self::Storage => "storage",
            Self::Other => "other",
        }
    }

    const fn default_retry(self) -> Retry {
        match self {
            Self::Timeout
            | Self::RateLimited
            | Self::Unavailable
            | Self::Overloaded
            | Self::Truncated
            | Self::Looping
            | Self::WrongLanguage
            | Self::OffSchema
            | Self::Invalid
            | Self::Ungrounded
            | Self::Leaked
            | Self::Cancelled => Retry::Now,
            _ => Retry::Never,
        }
    }

    /// Maps the kind of a failed call.
    pub(crate) const fn of_call(kind: CoreKind) -> Self {
        match kind {
            CoreKind::Timeout => Self::Timeout,
            CoreKind::RateLimited => Self::RateLimited,
            CoreKind::Unavailable | CoreKind::NotFound => Self::Unavailable,
            CoreKind::Overloaded | CoreKind::CircuitOpen => Self::Overloaded,
            CoreKind::Unauthorized => Self::Unauthorized,
            CoreKind::Unsupported | CoreKind::InvalidInput => Self::Unsupported,
            CoreKind::Protocol => Self::Protocol,
            CoreKind::Refused => Self::Refused,
            CoreKind::ContextTooLong => Self::ContextTooLong,
            CoreKind::BudgetExhausted => Self::BudgetExhausted,
            CoreKind::Cancelled => Self::Cancelled,
            CoreKind::Storage => Self::Storage,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for ExtractErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the value that was turned down, without the text that stood there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// Where, as a JSON Pointer (RFC 6901); empty for the whole value.
    pub path: String,
    /// What was wrong with it.
    pub kind: ExtractErrorKind,
    /// What the schema or the validator expected there. Never what the model or the source said.
    pub expected: String,
}

impl Failure {
    /// Makes a failure at `path`.
    pub fn new(path: impl Into<String>, kind: ExtractErrorKind, expected: impl Into<String>) -> Self {
        Self { path: path.into(), kind, expected: expected.into() }
    }
}

/// Why an extraction failed: kind, retry class, what was tried, and what that cost.
///
/// Tokens that were paid for before the failure are in [`usage`](Self::usage); every call stands in
/// [`attempts`](Self::attempts). Neither `Display` nor `Debug` shows a prompt, an answer or a source.
///
/// ```
/// use pumasi_core::Retry;
/// use pumasi_llm_parse::extract::{ExtractError, ExtractErrorKind};
///
/// let error = ExtractError::new(ExtractErrorKind::EmptySource, "the source is empty");
/// assert_eq!(error.kind(), ExtractErrorKind::EmptySource);
/// assert_eq!(error.retry(), Retry::Never);
/// assert_eq!(error.usage().total_tokens(), 0);
/// ```
pub struct ExtractError {
    inner: Box<Inner>,
}

struct Inner {
    kind: ExtractErrorKind,
    retry: Retry,
    message: Cow<'static, str>,
    failures: Vec<Failure>,
    attempts: Vec<Attempt>,
    usage: Usage,
    cost: Option<Cost>,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

impl ExtractError {
    /// Makes an error of `kind` that says `message`; its retry class is the kind's usual one.
    pub fn new(kind: ExtractErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                retry: kind.default_retry(),
                message: message.into(),
                failures: Vec::new(),
                attempts: Vec::new(),
                usage: Usage::default(),
                cost: None,
                source: None,
            }),
        }
    }

    /// Sets the retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.inner.retry = retry;
        self
    }

    /// Sets the places that were turned down.
    #[must_use]
    pub fn with_failures(mut self, failures: Vec<Failure>) -> Self {
        self.inner.failures = failures;
        self
    }

    /// Sets the calls that were made, and with them the usage and the cost.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.inner.usage = super::total_usage(&attempts);
        self.inner.cost = super::total_cost(&attempts);
        self.inner.attempts = attempts;
        self
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Tells what went wrong.
    pub fn kind(&self) -> ExtractErrorKind {
        self.inner.kind
    }

    /// Tells whether, and when, the same extraction may be tried again.
    pub fn retry(&self) -> Retry {
        self.inner.retry
    }

    /// Tells how long to wait before trying again, if that makes sense at all.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.inner.retry {
            Retry::Now => Some(Duration::ZERO),
            Retry::After(delay) => Some(delay),
            _ => None,
        }
    }

    /// Returns what was tried, without the source.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns what was tried and, for a failed call, what the model's side said of it: operation, host and status, and how
    /// often it was tried. Never a prompt, an answer or a source.
    ///
    /// ```
    /// use pumasi_core::{Error, ErrorKind};
    /// use pumasi_llm_parse::extract::ExtractError;
    ///
    /// let call = Error::new(ErrorKind::RateLimited, "chat completion at api.example.com failed with status 429");
    /// let error = ExtractError::from(call);
    /// assert_eq!(
    ///     error.explanation(),
    ///     "the call to the model failed (rate_limited): chat completion at api.example.com failed with status 429"
    /// );
    /// ```
    pub fn explanation(&self) -> String {
        let call =
            self.inner.source.as_deref().and_then(|source| source.downcast_ref::<pumasi_core::Error>());
        match call {
            Some(call) => format!("{}: {}", self.message(), call.message()),
            None => self.message().to_owned(),
        }
    }

    /// Returns the places that were turned down in the last answer.
    pub fn failures(&self) -> &[Failure] {
        &self.inner.failures
    }

    /// Returns every call that was made, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.inner.attempts
    }

    /// Returns the tokens used by all attempts.
    pub fn usage(&self) -> Usage {
        self.inner.usage
    }

    /// Returns what all attempts cost, where the price is known.
    pub fn cost(&self) -> Option<Cost> {
        self.inner.cost
    }
}

impl From<pumasi_core::Error> for ExtractError {
    fn from(source: pumasi_core::Error) -> Self {
        let kind = ExtractErrorKind::of_call(source.kind());
        Self::new(kind, format!("the call to the model failed ({})", source.kind()))
            .with_retry(source.retry())
            .with_source(source)
    }
}

impl fmt::Debug for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractError")
            .field("kind", &self.inner.kind)
            .field("retry", &self.inner.retry)
            .field("message", &self.inner.message)
            .field("failures", &self.inner.failures)
            .field("attempts", &self.inner.attempts.len())
            .field("usage", &self.inner.usage)
            .field("cost", &self.inner.cost)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl StdError for ExtractError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_keeps_its_retry_class_and_its_kind() {
        let delay = Retry::After(Duration::from_secs(7));
        let call = pumasi_core::Error::new(CoreKind::RateLimited, "turned away").with_retry(delay);
        let error = ExtractError::from(call);
        assert_eq!((error.kind(), error.retry()), (ExtractErrorKind::RateLimited, delay));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert!(error.source().is_some());
    }

    #[test]
    fn kinds_are_named_the_same_in_metrics_and_in_json() {
        for kind in [ExtractErrorKind::EmptySource, ExtractErrorKind::WrongLanguage, ExtractErrorKind::Leaked]
        {
            assert_eq!(serde_json::to_value(kind).unwrap(), serde_json::json!(kind.as_str()));
        }
    }
}
