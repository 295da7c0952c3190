//! The laws of this crate's seams: what every backend keeps, as functions that check it.
//!
//! Each seam has a module with one function per numbered guarantee of its trait, a *harness* that says how to open a backend,
//! and a macro that makes one test of each law. Whoever writes a backend runs the same laws from their own crate, with the
//! feature `conformance` among the dev-dependencies; `pumasi_core::conformance` shows how.

pub mod leaderboard;
pub mod reactions;
pub mod views;

#[doc(hidden)]
pub use pumasi_core::conformance::each_law;
pub use pumasi_core::conformance::{Broken, Kept, Verdict};
use pumasi_core::conformance::{holds, same};
