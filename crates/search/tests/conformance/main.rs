//! The laws of this crate's seams, on every backend; those that need a server are skipped, visibly, where there is none.
#![cfg_attr(
    any(feature = "sqlite", feature = "postgres", feature = "redis"),
    expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")
)]

mod boards;
mod reactions;
mod views;
