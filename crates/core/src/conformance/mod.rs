//! The laws of the seams: what every backend keeps, as functions that check it.
//!
//! Each seam has a module with one function per numbered guarantee of its trait, a *harness* that says how to open a
//! backend, and a macro that makes one test of each law. Whoever writes a backend runs the same laws from their own
//! crate, with the feature `conformance` among the dev-dependencies:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use async_trait::async_trait;
//! use pumasi_core::conformance::bus::BusHarness;
//! use pumasi_core::event::{EventBus, MemoryBus};
//! use pumasi_core::time::ManualClock;
//!
//! /// One empty bus of yours, on a clock that the laws can turn.
//! struct MyHarness {
//!     clock: ManualClock,
//!     bus: MemoryBus, // your own backend here
//! }
//!
//! #[async_trait]
//! impl BusHarness for MyHarness {
//!     async fn open(&self) -> Arc<dyn EventBus> {
//!         Arc::new(self.bus.clone())
//!     }
//!
//!     async fn pass(&self, time: Duration) {
//!         self.clock.advance(time);
//!     }
//! }
//!
//! // In tests/conformance.rs: one `#[test]` per law, in a module called `mine`.
//! pumasi_core::bus_laws!(mine, {
//!     let clock = ManualClock::new();
//!     let bus = MemoryBus::with_clock(Arc::new(clock.clone()));
//!     MyHarness { clock, bus }
//! });
//!
//! # let clock = ManualClock::new();
//! # let harness = MyHarness { bus: MemoryBus::with_clock(Arc::new(clock.clone())), clock };
//! // Or by hand:
//! pumasi_core::conformance::check("mine", "law_07", async {
//!     pumasi_core::conformance::bus::law_07_acknowledged_is_done(&harness).await
//! });
//! ```

pub mod bus;
pub mod cache;
pub mod idempotency;
pub mod lock;
pub mod model;
pub mod once;
pub mod outbox;
mod pace;
pub mod process;
pub mod projection;
pub mod room;
#[cfg(feature = "schedule")]
pub mod schedule;
#[cfg(feature = "postgres")]
mod schema;
mod server;

#[cfg(feature = "postgres")]
pub use schema::PostgresSchema;
pub use server::{Server, skip};

use std::fmt;
use std::future::Future;

/// How a law ended.
pub type Verdict = Result<Kept, Broken>;

/// A law that does not stand broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// Everything was checked.
    Whole,
    /// The backend declares that it cannot do this; nothing was checked.
    Skipped(&'static str),
}

/// What a backend did against a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    /// Says what was promised and what happened instead.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the operating system refused: {error}"))
    }
}

impl From<crate::Error> for Broken {
    fn from(error: crate::Error) -> Self {
        Self(format!("a call failed: {error:?}"))
    }
}

/// Runs one law to its end on a runtime of its own; a skip is printed to standard error, whether or not tests capture
/// their output.
///
/// # Panics
///
/// If the law is broken, with what the backend did: this is what makes the test fail.
pub fn check(backend: &str, law: &str, run: impl Future<Output = Verdict>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let verdict = match runtime {
        Ok(runtime) => runtime.block_on(run),
        Err(error) => Err(Broken::new(format!("no runtime: {error}"))),
    };
    match &verdict {
        Ok(Kept::Whole) => {}
        Ok(Kept::Skipped(why)) => {
            server::say_skipped(&format!("{law} on {backend}"), why);
        }
        Err(broken) => assert!(verdict.is_ok(), "{backend} breaks {law}: {broken}"),
    }
}

/// Makes a module with one `#[test]` of each law in a module of laws: what the macros of all seams come to. `@optional` where the
/// harness is `None` if there is no server, which whoever looked for it has said.
#[doc(hidden)]
#[macro_export]
macro_rules! each_law {
    (@optional $backend:ident, $harness:expr, [$($laws:tt)+], $($law:ident),+ $(,)?) => {
        mod $backend {
            #[allow(unused_imports)]
            use super::*;
            use $($laws)+ as laws_of_the_seam;
            $(
                #[test]
                fn $law() {
                    $crate::conformance::check(stringify!($backend), stringify!($law), async {
                        match $harness {
                            Some(harness) => laws_of_the_seam::$law(&harness).await,
                            None => Ok($crate::conformance::Kept::Whole),
                        }
                    });
                }
            )+
        }
    };
    ($backend:ident, $harness:expr, [$($laws:tt)+], $($law:ident),+ $(,)?) => {
        $crate::each_law!(@optional $backend, Some($harness), [$($laws)+], $($law),+);
    };
}

/// Breaks the law unless two values are equal.
#[doc(hidden)]
#[macro_export]
macro_rules! same {
    ($left:expr, $right:expr, $($what:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    return Err($crate::conformance::Broken::new(format!(
                        "{}: expected {right:?}, got {left:?}", format_args!($($what)+),
                    )));
                }
            }
        }
    };
}

/// Breaks the law unless a condition holds.
#[doc(hidden)]
#[macro_export]
macro_rules! holds {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Broken::new(format!($($what)+)));
        }
    };
}

#[doc(hidden)]
pub use {each_law, holds, same};
