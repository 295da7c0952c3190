//! What an answer is: where it comes from, how old it is and what it lacks, together with its value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Error;

use crate::page::Gap;

/// A value that says what it is. It has to be looked at to get at the value:
///
/// ```
/// use pumasi_search::fallback::Served;
///
/// fn banner<T>(served: &Served<T>) -> Option<String> {
///     match served {
///         Served::Fresh { .. } | Served::Cached { .. } => None,
///         Served::Stale { age, .. } => Some(format!("as of {} s ago", age.as_secs())),
///         Served::Degraded { backend, gaps, .. } => Some(format!("from {backend}, without {gaps:?}")),
///     }
/// }
/// # let _ = banner::<()>;
/// ```
///
/// `Debug` shows everything but the value.
#[derive(Clone)]
#[must_use = "an answer may be stale or degraded"]
pub enum Served<T> {
    /// From the primary, just now, with nothing missing; no further behind the writes, as far as is known, than is
    /// [allowed](super::FallbackBuilder::fresh_within).
    #[non_exhaustive]
    Fresh {
        /// The value.
        value: T,
        /// Who answered.
        backend: Arc<str>,
    },
    /// From the cache, where it was put when it was fresh, within the bound, with no write known that it missed.
    #[non_exhaustive]
    Cached {
        /// The value.
        value: T,
        /// How long ago it was fresh.
        age: Duration,
    },
    /// From the cache, past its bound or before a write.
    #[non_exhaustive]
    Stale {
        /// The value.
        value: T,
        /// How long ago it was fresh.
        age: Duration,
        /// Why it is served all the same.
        cause: Cause,
    },
    /// From another backend than the primary, or from the primary with something missing or far behind. It is never cached.
    #[non_exhaustive]
    Degraded {
        /// The value.
        value: T,
        /// Who answered.
        backend: Arc<str>,
        /// What the value lacks against the primary's whole answer; nothing, if the backend is as good.
        gaps: Vec<Gap>,
        /// How far the backend lags behind the writes, if it says so.
        lag: Option<Duration>,
        /// Why the primary's whole answer is not what is served.
        cause: Cause,
    },
}

impl<T> Served<T> {
    /// Takes the value off: what it was served as, and the value.
    pub fn split(self) -> (Served<()>, T) {
        match self {
            Self::Fresh { value, backend } => (Served::Fresh { value: (), backend }, value),
            Self::Cached { value, age } => (Served::Cached { value: (), age }, value),
            Self::Stale { value, age, cause } => (Served::Stale { value: (), age, cause }, value),
            Self::Degraded { value, backend, gaps, lag, cause } => {
                (Served::Degraded { value: (), backend, gaps, lag, cause }, value)
            }
        }
    }

    /// Turns the value into another one, served as the same.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Served<U> {
        let (served, value) = self.split();
        let value = turn(value);
        match served {
            Served::Fresh { backend, .. } => Served::Fresh { value, backend },
            Served::Cached { age, .. } => Served::Cached { value, age },
            Served::Stale { age, cause, .. } => Served::Stale { value, age, cause },
            Served::Degraded { backend, gaps, lag, cause, .. } => {
                Served::Degraded { value, backend, gaps, lag, cause }
            }
        }
    }

    /// Tells whether it is what the primary says, or said within the bound: fresh or cached.
    pub const fn is_current(&self) -> bool {
        matches!(self, Self::Fresh { .. } | Self::Cached { .. })
    }

    /// Names the variant in `snake_case`, as metrics carry it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fresh { .. } => "fresh",
            Self::Cached { .. } => "cached",
            Self::Stale { .. } => "stale",
            Self::Degraded { .. } => "degraded",
        }
    }

    /// Names the backend that answered; `None` from the cache.
    pub fn backend(&self) -> Option<&str> {
        match self {
            Self::Fresh { backend, .. } | Self::Degraded { backend, .. } => Some(backend),
            Self::Cached { .. } | Self::Stale { .. } => None,
        }
    }

    /// Tells why it is not current, if it is not.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Stale { cause, .. } | Self::Degraded { cause, .. } => Some(cause),
            Self::Fresh { .. } | Self::Cached { .. } => None,
        }
    }
}

impl<T> fmt::Debug for Served<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh { backend, .. } => {
                f.debug_struct("Fresh").field("backend", backend).finish_non_exhaustive()
            }
            Self::Cached { age, .. } => f.debug_struct("Cached").field("age", age).finish_non_exhaustive(),
            Self::Stale { age, cause, .. } => {
                f.debug_struct("Stale").field("age", age).field("cause", cause).finish_non_exhaustive()
            }
            Self::Degraded { backend, gaps, lag, cause, .. } => f
                .debug_struct("Degraded")
                .field("backend", backend)
                .field("gaps", gaps)
                .field("lag", lag)
                .field("cause", cause)
                .finish_non_exhaustive(),
        }
    }
}

/// Why an answer is not the primary's whole and fresh one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The primary failed; for a stale answer: everybody did.
    Failed(Error),
    /// The primary had not answered after this time, and another backend was faster.
    Slow {
        /// How long the primary had been waited for.
        after: Duration,
    },
    /// The primary is in trouble and is spared; it is tried out in the background.
    CircuitOpen,
    /// The primary's answer had gaps.
    Incomplete,
    /// The primary is further behind the writes than a fresh answer may be.
    Lagging,
    /// The answer is old, and a new one is being fetched in the background.
    Revalidating,
}

impl Cause {
    /// Names the cause in `snake_case`, as metrics carry it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Slow { .. } => "slow",
            Self::CircuitOpen => "circuit_open",
            Self::Incomplete => "incomplete",
            Self::Lagging => "lagging",
            Self::Revalidating => "revalidating",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::Slow { after } => write!(f, "no answer after {} ms", after.as_millis()),
            Self::CircuitOpen => f.write_str("the circuit is open"),
            Self::Incomplete => f.write_str("the answer had gaps"),
            Self::Lagging => f.write_str("the newest changes are missing"),
            Self::Revalidating => f.write_str("a new answer is being fetched"),
        }
    }
}

/// What a backend answers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// What it lacks; nothing, if it is whole.
    pub gaps: Vec<Gap>,
    /// How far the backend lags behind the writes, if it knows.
    pub lag: Option<Duration>,
}

impl<T> Answer<T> {
    /// Makes a whole answer.
    pub const fn new(value: T) -> Self {
        Self { value, gaps: Vec::new(), lag: None }
    }

    /// Adds something that the value lacks.
    #[must_use]
    pub fn with_gap(mut self, gap: Gap) -> Self {
        self.gaps.push(gap);
        self
    }

    /// Adds all that the value lacks.
    #[must_use]
    pub fn with_gaps(mut self, gaps: impl IntoIterator<Item = Gap>) -> Self {
        self.gaps.extend(gaps);
        self
    }

    /// Turns the value into another one, with the same gaps.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: turn(self.value), gaps: self.gaps, lag: self.lag }
    }

    /// Sets how far the backend lags behind the writes.
    #[must_use]
    pub fn with_lag(mut self, lag: Duration) -> Self {
        self.lag = Some(lag);
        self
    }

    /// Tells whether part of what there is was not looked at, so that another backend is asked instead, and this answer is
    /// served only if nobody has a better one.
    pub fn is_partial(&self) -> bool {
        self.gaps.iter().any(|gap| matches!(gap, Gap::Shards { .. } | Gap::TimedOut))
    }
}

impl<T> From<T> for Answer<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("gaps", &self.gaps).field("lag", &self.lag).finish_non_exhaustive()
    }
}
