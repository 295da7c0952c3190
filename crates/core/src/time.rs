//! Clocks and timestamps: whoever asks for the time asks a [`Clock`], so that tests can turn it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// The longest that anything waits: not every clock can tell a moment that is further away.
pub(crate) const FAR: Duration = Duration::from_hours(365 * 24);

/// A moment, in microseconds since 1970-01-01T00:00:00Z; written as RFC 3339 in UTC.
///
/// ```
/// use pumasi_core::time::Timestamp;
///
/// let at: Timestamp = "2026-11-20T09:30:00+09:00".parse()?;
/// assert_eq!(at.to_string(), "2026-11-20T00:30:00Z");
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be written as RFC 3339: `-009999-01-02T01:59:59Z`.
    pub const MIN: Self = Self(-377_705_023_201_000_000);
    /// The latest one: `9999-12-30T22:00:00Z`.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// Makes a moment from microseconds since the epoch, held within [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Adds a duration, staying within [`MAX`](Self::MAX).
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns how long after `earlier` this moment is; zero if it is not after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Self::from_micros(micros)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse::<jiff::Timestamp>()
            .map(|timestamp| Self::from_micros(timestamp.as_microsecond()))
            // The parser's own message quotes the text.
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "a timestamp is not RFC 3339 with an offset"))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

/// The future of [`Clock::sleep`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Tells the time and waits.
///
/// `SystemClock` (feature `runtime`) is the real one; [`ManualClock`] only moves when it is told to.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the moment on the wall, for records that people and other machines read.
    fn now(&self) -> Timestamp;

    /// Returns a moment that never goes back, for measuring and for deadlines.
    fn instant(&self) -> Instant;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Waits until `at`, a moment of this clock's [`instant`](Self::instant).
    ///
    /// Provided: waits for what is left until then. A clock that may be moved between the two readings counts from the moment itself.
    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sleep(at.saturating_duration_since(self.instant()))
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<C: Clock + ?Sized> Clock for $pointer {
            fn now(&self) -> Timestamp {
                (**self).now()
            }

            fn instant(&self) -> Instant {
                (**self).instant()
            }

            fn sleep(&self, duration: Duration) -> Sleep {
                (**self).sleep(duration)
            }

            fn sleep_until(&self, at: Instant) -> Sleep {
                (**self).sleep_until(at)
            }
        }
    )+};
}

forward!(&C, Box<C>, Arc<C>);

/// The machine's clock; waits on tokio's timer, and so follows `tokio::time::pause` in tests.
#[cfg(feature = "runtime")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(feature = "runtime")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Returns the instant `duration` after `from`, or a century after it where the machine cannot express that: for limits that
/// a caller may set to [`Duration::MAX`], where adding panics.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pumasi_core::time::after;
///
/// let now = Instant::now();
/// assert_eq!(after(now, Duration::from_secs(5)), now + Duration::from_secs(5));
/// assert!(after(now, Duration::MAX) > now + Duration::from_hours(24));
/// ```
pub fn after(from: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_hours(876_000);
    from.checked_add(duration).or_else(|| from.checked_add(CENTURY)).unwrap_or(from)
}

/// A clock for tests: it stands still until [`advance`](Self::advance) is called, which wakes the sleepers that are due.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::time::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.instant();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.instant() - before, Duration::from_secs(90));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<std::sync::Mutex<ManualState>>,
    start: Instant,
}

#[derive(Debug, Default)]
struct ManualState {
    elapsed: Duration,
    sleepers: Vec<(Duration, std::task::Waker)>,
}

impl ManualClock {
    /// Wall time at which every manual clock starts: `2026-01-01T00:00:00Z`.
    pub const START: Timestamp = Timestamp(1_767_225_600_000_000);

    /// Makes a clock that stands at [`START`](Self::START).
    pub fn new() -> Self {
        Self { state: Arc::default(), start: Instant::now() }
    }

    /// Moves the clock forward and wakes the sleepers that are due.
    pub fn advance(&self, duration: Duration) {
        let due: Vec<_> = {
            let mut state = self.lock();
            state.elapsed = state.elapsed.saturating_add(duration);
            let now = state.elapsed;
            state.sleepers.extract_if(.., |(at, _)| *at <= now).collect()
        };
        for (_, waker) in due {
            waker.wake();
        }
    }

    fn sleep_to(&self, until: Duration) -> Sleep {
        let clock = self.clone();
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = clock.lock();
            if state.elapsed >= until {
                return std::task::Poll::Ready(());
            }
            state.sleepers.push((until, context.waker().clone()));
            std::task::Poll::Pending
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Self::START.saturating_add(self.lock().elapsed)
    }

    fn instant(&self) -> Instant {
        after(self.start, self.lock().elapsed)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let until = self.lock().elapsed.saturating_add(duration);
        self.sleep_to(until)
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sleep_to(at.saturating_duration_since(self.start))
    }
}
