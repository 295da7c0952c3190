//! Calls that may fail: trying again, giving up, and sparing whoever is in trouble.

mod backoff;
mod breaker;
mod budget;
#[cfg(feature = "runtime")]
mod concurrency;
mod random;
#[cfg(feature = "runtime")]
mod rate;
#[cfg(feature = "runtime")]
mod retry;
mod retryable;
mod slices;
pub(crate) mod ticks;
#[cfg(feature = "runtime")]
mod timeout;

pub use backoff::{Backoff, Jitter};
pub use breaker::{BreakerCounts, BreakerPermit, BreakerState, BreakerWindow, CircuitBreaker, Dropped};
pub use budget::RetryBudget;
#[cfg(feature = "runtime")]
pub use concurrency::{ConcurrencyLimit, ConcurrencyPermit};
pub use random::Random;
#[cfg(feature = "runtime")]
pub use rate::{RateLimit, RateReservation};
#[cfg(feature = "runtime")]
pub use retry::{Attempt, RetryPolicy};
pub use retryable::{Retryable, Verdict};
#[cfg(feature = "runtime")]
pub use timeout::Timeout;
#[cfg(feature = "runtime")]
pub(crate) use timeout::within;
