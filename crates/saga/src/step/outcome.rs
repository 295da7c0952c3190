//! How a step ends.

use super::Failure;
use crate::{Error, ErrorKind};

/// How an attempt of a step ended. There are three ways, not two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T, E> {
    /// Its effect happened, once.
    Done(T),
    /// Under this key nothing has happened, and nothing will.
    Failed(E),
    /// Nobody knows: it timed out, the connection broke, the answer made no sense.
    Unknown(E),
}

impl<T, E> Outcome<T, E> {
    /// Changes what was made.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U, E> {
        match self {
            Self::Done(made) => Outcome::Done(map(made)),
            Self::Failed(error) => Outcome::Failed(error),
            Self::Unknown(error) => Outcome::Unknown(error),
        }
    }
}

impl<T> Outcome<T, Error> {
    /// Judges an error of a call by its kind: what was refused before it was made, or by the callee's own words, has failed;
    /// everything else is unknown.
    ///
    /// | kinds | outcome |
    /// |---|---|
    /// | invalid input, not found, conflict, unauthorized, unsupported, rate limited, overloaded, circuit open, refused, context too long, budget exhausted | `Failed` |
    /// | timeout, unavailable, cancelled, protocol, storage, other | `Unknown` |
    ///
    /// ```
    /// use pumasi_saga::{Error, ErrorKind, Outcome};
    ///
    /// let declined = Outcome::<(), _>::from_error(Error::new(ErrorKind::Conflict, "the card was declined"));
    /// assert!(matches!(declined, Outcome::Failed(_)));
    /// let silent = Outcome::<(), _>::from_error(Error::new(ErrorKind::Timeout, "the gateway did not answer"));
    /// assert!(matches!(silent, Outcome::Unknown(_)));
    /// ```
    pub fn from_error(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Unauthorized
            | ErrorKind::Unsupported
            | ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Refused
            | ErrorKind::ContextTooLong
            | ErrorKind::BudgetExhausted => Self::Failed(error),
            _ => Self::Unknown(error),
        }
    }
}

impl<T> From<Result<T, Error>> for Outcome<T, Error> {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(made) => Self::Done(made),
            Err(error) => Self::from_error(error),
        }
    }
}

/// What a probe found out about an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<T> {
    /// It happened, and made this.
    Happened(T),
    /// It has not happened so far.
    DidNotHappen,
    /// The partner cannot say.
    CannotTell,
}

impl<T, E: Failure> From<Outcome<T, E>> for Probe<T> {
    /// An outcome of asking: what is done happened, what failed did not.
    fn from(outcome: Outcome<T, E>) -> Self {
        match outcome {
            Outcome::Done(made) => Self::Happened(made),
            Outcome::Failed(_) => Self::DidNotHappen,
            Outcome::Unknown(_) => Self::CannotTell,
        }
    }
}
