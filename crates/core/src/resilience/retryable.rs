//! What the parts of this module want to know of an error.

use crate::{Error, ErrorKind, Retry};

/// What one finished call says about the health of its callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The callee did its work, even if its answer was "no".
    Success,
    /// The callee failed, or could not be reached.
    Failure,
    /// The outcome says nothing about the callee, because the call may never have got there; that it took long still counts.
    Neutral,
}

/// An error that retries and breakers can read.
///
/// [`Error`] implements it. For an error type of your own, say when it may be retried; everything else has a default:
///
/// ```
/// use pumasi_core::{Error, Retry, resilience::Retryable};
///
/// #[derive(Debug)]
/// enum GeocoderError {
///     Busy,
///     UnknownAddress,
///     Resilience(Error),
/// }
///
/// // timeouts and open circuits have to become errors of yours
/// impl From<Error> for GeocoderError {
///     fn from(error: Error) -> Self {
///         Self::Resilience(error)
///     }
/// }
///
/// impl Retryable for GeocoderError {
///     fn retry(&self) -> Retry {
///         match self {
///             Self::Busy => Retry::Now,
///             Self::UnknownAddress => Retry::Never,
///             Self::Resilience(error) => error.retry(),
///         }
///     }
/// }
/// ```
pub trait Retryable: From<Error> {
    /// Tells whether, and when, the same call may be made again.
    fn retry(&self) -> Retry;

    /// Tells what this error says about the callee's health.
    ///
    /// By default what may be retried is a failure, and what may not is an answer.
    fn verdict(&self) -> Verdict {
        if self.retry().is_retryable() { Verdict::Failure } else { Verdict::Success }
    }

    /// Marks the error as retried to the end, so that no layer further out retries it again.
    ///
    /// By default the error stays as it is.
    #[must_use]
    fn exhausted(self) -> Self {
        self
    }
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        Self::retry(self)
    }

    /// Goes by the kind, because an error that was retried to the end is still a failure of the callee.
    ///
    /// | kinds | verdict |
    /// |---|---|
    /// | timeout, rate limited, unavailable, protocol, storage, other | failure |
    /// | overloaded, circuit open, cancelled, budget exhausted | neutral |
    /// | the others: the callee answered | success |
    fn verdict(&self) -> Verdict {
        match self.kind() {
            ErrorKind::Timeout
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Protocol
            | ErrorKind::Storage
            | ErrorKind::Other => Verdict::Failure,
            ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Cancelled
            | ErrorKind::BudgetExhausted => Verdict::Neutral,
            _ => Verdict::Success,
        }
    }

    fn exhausted(self) -> Self {
        self.with_retry(Retry::Never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_error_is_still_a_failure_of_its_callee() {
        let error = Error::new(ErrorKind::Unavailable, "no route").exhausted();
        assert_eq!(Retryable::retry(&error), Retry::Never);
        assert_eq!(error.verdict(), Verdict::Failure);
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_local_limit_says_nothing() {
        assert_eq!(Error::new(ErrorKind::NotFound, "no such page").verdict(), Verdict::Success);
        assert_eq!(Error::new(ErrorKind::Overloaded, "queue is full").verdict(), Verdict::Neutral);
    }
}
