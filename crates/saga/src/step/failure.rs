//! What the engine wants to know of a step's error.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::{Error, Retry};

/// An error of a step: a short reason that is recorded and shown, and whether trying again may help.
///
/// ```
/// use std::borrow::Cow;
/// use pumasi_saga::{Failure, Retry};
///
/// enum HoldError { Full, Busy }
///
/// impl Failure for HoldError {
///     fn reason(&self) -> Cow<'static, str> {
///         match self { Self::Full => "full".into(), Self::Busy => "busy".into() }
///     }
///
///     fn retry(&self) -> Retry {
///         match self { Self::Full => Retry::Never, Self::Busy => Retry::Now }
///     }
/// }
/// ```
pub trait Failure: Send + 'static {
    /// Says why in a few words, without anything that a person wrote: it is recorded, shown to the user and to operators, and
    /// cut off after 200 bytes.
    fn reason(&self) -> Cow<'static, str>;

    /// Tells whether a *failed* attempt may be made again; an unknown one is, whatever this says. A pause that is asked for
    /// ([`Retry::After`]) is at most a day.
    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl Failure for Error {
    fn reason(&self) -> Cow<'static, str> {
        Cow::Owned(self.message().to_owned())
    }

    fn retry(&self) -> Retry {
        Self::retry(self)
    }
}

impl Failure for Infallible {
    fn reason(&self) -> Cow<'static, str> {
        match *self {}
    }
}

impl Failure for &'static str {
    fn reason(&self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}
