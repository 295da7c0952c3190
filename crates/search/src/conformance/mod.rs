//! The laws of this crate's seams: what every backend keeps, as functions that check it.
//!
//! Each seam has a module with one function per numbered guarantee of its trait, a *harness* that says how to open a backend,
//! and a macro that makes one test of each law. Whoever writes a backend runs the same laws from their own crate, with the
//! feature `conformance` among the dev-dependencies; `pumasi_core::conformance` shows how.

pub mod leaderboard;
pub mod reactions;
pub mod views;

#[doc(hidden)]
pub use pumasi_core::conformance::check;
pub use pumasi_core::conformance::{Broken, Kept, Verdict};

/// Makes one `#[test]` of each law of a seam.
#[doc(hidden)]
#[macro_export]
macro_rules! laws {
    ($backend:ident, $harness:expr, $seam:ident, $($law:ident),+ $(,)?) => {
        mod $backend {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $law() {
                    $crate::conformance::check(stringify!($backend), stringify!($law), async {
                        let harness = $harness;
                        $crate::conformance::$seam::$law(&harness).await
                    });
                }
            )+
        }
    };
}

/// Breaks the law unless two values are equal.
macro_rules! same {
    ($left:expr, $right:expr, $($what:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err($crate::conformance::Broken::new(format!(
                "{}: expected {right:?}, got {left:?}", format_args!($($what)+),
            )));
        }
    }};
}

/// Breaks the law unless a condition holds.
macro_rules! holds {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Broken::new(format!($($what)+)));
        }
    };
}

use {holds, same};
