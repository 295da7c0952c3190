//! The laws of this crate's seams, on every backend; those that need a server are skipped, visibly, where there is none.
#![cfg_attr(
    any(feature = "embedded", feature = "postgres", feature = "redis"),
    expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")
)]

#[cfg(feature = "postgres")]
mod ages;
mod barrier;
mod capacity;
mod stores;
