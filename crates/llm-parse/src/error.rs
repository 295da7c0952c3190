//! The error of the parser.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use pumasi_core::Retry;
use serde::Serialize;

use crate::report::Path;
use crate::tree::Span;

/// The result of this crate's parsing operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Tells what kept an answer from becoming a value, for code that decides on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The answer holds nothing but white space.
    Empty,
    /// Nothing in the answer can be read as the value: prose only, or JSON only inside reasoning or an example.
    NoCandidate,
    /// The model declined to answer.
    Refused,
    /// The answer was cut off before a required part.
    Truncated,
    /// A part has another type than the schema allows.
    Mismatch,
    /// A required part is missing.
    Missing,
    /// Two or more sensible readings differ.
    Ambiguous,
    /// The text denies the label or the truth value that it names ("this is not NEGATIVE").
    Negated,
    /// A number does not fit the type.
    Overflow,
    /// A value of the right type breaks a constraint of the schema: a bound, a length, a pattern, a format.
    Constraint,
    /// The value is nested deeper than the limit.
    TooDeep,
    /// The answer is larger than the limit, or fitting it to the schema would take too much work.
    TooLarge,
    /// The value can only be had with repairs that the policy does not allow.
    Policy,
    /// The schema itself is wrong, or uses what is not supported.
    Schema,
    /// The type's own `Deserialize` turned the fitted value down.
    Deserialize,
}

impl ErrorKind {
    /// Names the kind in `snake_case`, as metrics and JSON carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoCandidate => "no_candidate",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Negated => "negated",
            Self::Overflow => "overflow",
            Self::Constraint => "constraint",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::Policy => "policy",
            Self::Schema => "schema",
            Self::Deserialize => "deserialize",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Is one part of an answer that does not fit: where, what was expected, and what kind of thing stood there.
///
/// It never holds the text of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// Where in the value.
    pub path: Path,
    /// Why.
    pub kind: ErrorKind,
    /// What the schema wants there, in the notation of [`Schema::render_prompt`](crate::Schema::render_prompt), shortened.
    pub expected: String,
    /// What stood there: `string`, `number`, `object`, …, `nothing`.
    pub got: &'static str,
    /// Which rule was broken, if the kind does not say enough: `"above the maximum"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The bytes of the raw answer, empty where something is missing.
    pub span: Span,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match self.kind {
            ErrorKind::Missing => write!(f, "missing, expected {}", self.expected)?,
            ErrorKind::Ambiguous => write!(f, "ambiguous {} for {}", self.got, self.expected)?,
            ErrorKind::Negated => write!(f, "negated {} for {}", self.got, self.expected)?,
            ErrorKind::Truncated => write!(f, "cut off, expected {}", self.expected)?,
            ErrorKind::Overflow => write!(f, "the number overflows {}", self.expected)?,
            _ => write!(f, "expected {}, got {}", self.expected, self.got)?,
        }
        if let Some(detail) = self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Is the error of the parser: a [kind](ErrorKind), the parts that [failed](Failure), and perhaps a source.
///
/// Its messages name paths, types and rules, never the text of the answer.
///
/// ```
/// use pumasi_llm_parse::{ErrorKind, parse};
///
/// #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
/// struct Run {
///     km: u8,
/// }
///
/// let error = parse::<Run>(r#"{"km": 300}"#).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Overflow);
/// assert_eq!(error.failures()[0].path.to_string(), "$.km");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    failures: Vec<Failure>,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { inner: Box::new(Inner { kind, message: message.into(), failures: Vec::new(), source: None }) }
    }

    pub(crate) fn with_failures(mut self, failures: Vec<Failure>) -> Self {
        self.inner.failures = failures;
        self
    }

    /// The kind and the message follow from the first failure.
    pub(crate) fn from_failures(failures: Vec<Failure>) -> Self {
        let kind = failures.first().map_or(ErrorKind::Mismatch, |failure| failure.kind);
        let more = failures.len().saturating_sub(1);
        let message = match failures.first() {
            Some(first) if more > 0 => format!("{first}, and {more} more"),
            Some(first) => first.to_string(),
            None => "the answer does not fit the schema".to_owned(),
        };
        Self::new(kind, message).with_failures(failures)
    }

    /// Tells what went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Tells whether the same call may be made again: never, since the same text gives the same outcome.
    ///
    /// Whether it makes sense to ask the *model* again is told by [`reask`](Self::reask).
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }

    /// Tells whether another answer of the model could do better.
    ///
    /// `false` for a wrong schema and a refusal.
    #[must_use]
    pub fn reask(&self) -> bool {
        !matches!(self.inner.kind, ErrorKind::Schema | ErrorKind::Refused)
    }

    /// Lists the parts that failed, in the order of the schema; empty if the answer failed as a whole.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.inner.failures
    }

    /// Returns the path of the first part that failed.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.failures.first().map(|failure| &failure.path)
    }

    /// Returns what the first part that failed should have been.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.inner.failures.first().map(|failure| failure.expected.as_str())
    }

    /// Returns what kind of thing stood at the first part that failed.
    #[must_use]
    pub fn got(&self) -> Option<&'static str> {
        self.inner.failures.first().map(|failure| failure.got)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("failures", &self.inner.failures)
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
