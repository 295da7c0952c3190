//! Calls that may fail: trying again, giving up, and sparing whoever is in trouble.
//!
//! | part | what it answers | feature |
//! |---|---|---|
//! | [`Backoff`] | how long to wait before trying again | – |
//! | [`RetryBudget`] | how many extra calls there may be, retries and hedges together | – |
//! | [`Retryable`] | what an error says: try again, when, whose fault | – |
//! | [`CircuitBreaker`] | whether to call at all; it sees calls that hang and calls that are given up | – |
//! | `RetryPolicy` | whether and when to try again | `runtime` |
//! | `Timeout` | how long to wait for an answer | `runtime` |
//! | `ConcurrencyLimit` | how many calls at once, and how many in line | `runtime` |
//! | `RateLimit` | how many requests and tokens a minute | `runtime` |
//! | `Hedge` | when to ask a second time, or somebody else | `runtime` |
//! | `Pipeline` | all of them, in the order that works | `runtime` |
//!
//! Every part takes a [`Clock`](crate::time::Clock) and, where chance plays a role, a [`Random`], so that a test can say what
//! happens when. Every part may be cloned, and clones share their state.
//!
//! ```
//! use std::time::Duration;
//! use pumasi_core::resilience::{CircuitBreaker, Pipeline, RetryPolicy};
//! use pumasi_core::{Error, ErrorKind};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let pipeline = Pipeline::new("geocoder")
//!     .with_deadline(Duration::from_secs(3))
//!     .with_retry(RetryPolicy::new("geocoder"))
//!     .with_breaker(CircuitBreaker::new("geocoder", Duration::from_secs(1)));
//!
//! let place = pipeline
//!     .run(|attempt| async move {
//!         if attempt.number == 1 {
//!             return Err(Error::new(ErrorKind::Unavailable, "the geocoder is restarting"));
//!         }
//!         Ok("서울시청")
//!     })
//!     .await?;
//! assert_eq!(place, "서울시청");
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! # Errors that tell what to do
//!
//! An error carries its [retry class](crate::Retry). A policy that has tried to the end marks it [`Never`](crate::Retry::Never),
//! so that layers do not multiply their attempts; an open circuit, a full queue and a used-up rate say
//! [after](crate::Retry::After) what time it is worth coming back.
//!
//! # Why not a crate?
//!
//! Crates were used where they do the job: `tokio`'s timers and its fair, cancellation-safe semaphore. For the others:
//!
//! - **`backon`** repeats a call well and takes a server's delay into account, but has no budget, no limit of time for an
//!   attempt, no clock that can be replaced beside its sleeper, and gives back the last error as it is: what would be left of
//!   it here is a loop.
//! - **`tower`**'s retry budget is Finagle's too, but asks the system's clock, and its layers want a `Service`.
//! - **`governor`** limits rates well, but what was reserved cannot be corrected to what was used, which is what limits by
//!   tokens are about, and callers who wait contend anew instead of queueing.
//! - **`failsafe`**, **`recloser`** and **`tower-resilience`** count calls when they complete. A call that its caller gives up
//!   at a deadline never completes, so that none of them opens on a callee that takes calls and does not answer; the first two
//!   let every caller through while half open.
//!
//! # Metrics
//!
//! Through the `metrics` facade; `name` is the part's own.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `pumasi_retries_total` | counter | `name` |
//! | `pumasi_retries_exhausted_total` | counter | `name`, `reason`: `attempts`, `budget`, `deadline`, `retry_after` |
//! | `pumasi_timeouts_total` | counter | `name` |
//! | `pumasi_concurrency_rejections_total` | counter | `name`, `reason`: `full`, `queue_timeout` |
//! | `pumasi_rate_limit_rejections_total` | counter | `name` |
//! | `pumasi_rate_limit_wait_seconds` | histogram | `name` |
//! | `pumasi_breaker_changes_total` | counter | `name`, `to`: `closed`, `open`, `half_open` |
//! | `pumasi_breaker_state` | gauge | `name`; 0 closed, 1 half open, 2 open |
//! | `pumasi_breaker_rejections_total` | counter | `name` |
//! | `pumasi_hedges_total` | counter | `name`, `winner`: `first`, `second`, `none` |
//! | `pumasi_hedges_denied_total` | counter | `name` |
//! | `pumasi_failovers_total` | counter | `name` |

mod backoff;
mod breaker;
mod budget;
#[cfg(feature = "runtime")]
mod concurrency;
#[cfg(feature = "runtime")]
mod hedge;
#[cfg(feature = "runtime")]
mod pipeline;
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
#[cfg(feature = "runtime")]
pub use hedge::{Contender, Hedge, Raced};
#[cfg(feature = "runtime")]
pub use pipeline::Pipeline;
pub use random::Random;
#[cfg(feature = "runtime")]
pub use rate::{RateLimit, RateReservation};
#[cfg(feature = "runtime")]
pub use retry::{Attempt, RetryPolicy};
pub use retryable::{Retryable, Verdict};
#[cfg(feature = "runtime")]
pub use timeout::{Timeout, within};
